import { describe, expect, test } from 'vitest';
import { readCondition, readFaultOrder, readSelector, readSettings } from './control-input.ts';

describe('settings', () => {
  test.each([
    ['nothing', {}],
    ['a member of a group', { quotas: { targetGroups: 1 } }],
    ['a list where any is the default', { certificates: ['arn'] }],
    ['any again', { certificates: 'any' }],
    ['subnets', { subnets: [{ id: 'subnet-x', vpcId: 'vpc-1', zone: 'a' }] }],
  ])('%s is taken', (_what, body) => {
    expect(readSettings(body)).toEqual(body);
  });

  test.each([
    ['a misspelt setting', { pagesize: 1 }, "no setting 'pagesize'"],
    ['a misspelt member', { quotas: { loadBalancers: 1 } }, "no setting 'quotas.loadBalancers'"],
    ['text for a number', { pageSize: '1' }, "'pageSize' must be a number"],
    ['a number for a group', { quotas: 1 }, "'quotas' must be an object"],
    ['a number for a list', { subnets: 1 }, "'subnets' must be a list"],
    ['a list', [], 'must be an object'],
  ])('%s is named', (_what, body, message) => {
    expect(() => readSettings(body)).toThrow(message);
  });
});

describe('faults', () => {
  test('a complete order is taken', () => {
    const order = {
      match: { operation: ['CreateListener'] },
      nth: 3,
      effect: { kind: 'latency', ms: 5, when: 'after' },
    };
    expect(readFaultOrder(order)).toEqual(order);
  });

  test.each([
    ['no effect', {}, 'effect must be an object'],
    ['an unknown effect', { effect: { kind: 'explode' } }, 'effect.kind must be one of'],
    ['a hook, which cannot be sent', { effect: { kind: 'hook' } }, 'effect.kind must be one of'],
    ['a missing member', { effect: { kind: 'error' } }, 'effect.code must be a string'],
    [
      'an unknown member',
      { effect: { kind: 'latency', ms: 1, seconds: 2 } },
      "effect has no member 'seconds'",
    ],
    [
      'a wrong phase',
      { effect: { kind: 'hang', when: 'during' } },
      "effect.when must be 'before' or 'after'",
    ],
    [
      'a misspelt operation',
      { match: { operation: 'CreateBalancer' }, effect: { kind: 'throttle' } },
      'no operation "CreateBalancer"',
    ],
    ['a misspelt match', { match: { op: 'x' }, effect: { kind: 'throttle' } }, "match has no member 'op'"],
    [
      'a misspelt member of the order',
      { count: 2, effect: { kind: 'throttle' } },
      "the fault has no member 'count'",
    ],
  ])('%s is named', (_what, body, message) => {
    expect(() => readFaultOrder(body)).toThrow(message);
  });
});

test.each([
  [{ kind: 'ill' }, 'condition.kind'],
  [{ kind: 'unhealthy' }, "'reason' must be a string"],
  [{ kind: 'unhealthy', reason: 'flu' }, 'condition.reason must be one of'],
])('the condition %j is refused', (body, message) => {
  expect(() => readCondition(body)).toThrow(message);
});

test('a selector with an unknown member is refused', () => {
  expect(() => readSelector({ node: 'i-1' })).toThrow("selector has no member 'node'");
});
