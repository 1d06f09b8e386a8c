import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  canonicalIngress,
  dropConditions,
  mergeConditions,
  ownConditionTypes,
  sameConditions,
  sameIngress,
} from './conditions.ts';
import type { ConditionDraft } from './conditions.ts';
import type { Condition, Ingress } from './objects.ts';

const wall = Date.UTC(2026, 10, 21, 4, 0, 0, 123);
const earlier = '2026-01-01T00:00:00Z';

function condition(type: string, change: Partial<Condition> = {}): Condition {
  return { type, status: 'True', reason: 'InSync', message: 'm', lastTransitionTime: earlier, ...change };
}
function draft(type: ConditionDraft['type'], change: Partial<ConditionDraft> = {}): ConditionDraft {
  return { type, status: 'True', reason: 'InSync', message: 'm', ...change };
}

describe('mergeConditions', () => {
  test('a new condition has the present time, in whole seconds', () => {
    expect(mergeConditions([], [draft('InSync')], wall)).toEqual([
      condition('InSync', { lastTransitionTime: '2026-11-21T04:00:00Z' }),
    ]);
  });
  test('the time moves with the status', () => {
    const [merged] = mergeConditions([condition('InSync')], [draft('InSync', { status: 'False' })], wall);
    expect(merged?.lastTransitionTime).toBe('2026-11-21T04:00:00Z');
  });
  test('the time stays when only reason or message change', () => {
    const [merged] = mergeConditions(
      [condition('InSync')],
      [draft('InSync', { reason: 'Busy', message: 'n' })],
      wall,
    );
    expect(merged).toEqual(condition('InSync', { reason: 'Busy', message: 'n' }));
  });
  test('a message whose request id alone is another stays as it is', () => {
    const before = condition('InSync', { message: 'x: denied (request 1-a)' });
    const again = draft('InSync', { message: 'x: denied (request 2-b)' });
    expect(mergeConditions([before], [again], wall)).toEqual([before]);
    const [news] = mergeConditions([before], [{ ...again, message: 'y: denied (request 2-b)' }], wall);
    expect(news?.message).toBe('y: denied (request 2-b)');
  });
  test('ours that no draft names stay; others are not ours to write', () => {
    const existing = [condition('cilium.io/IPAMRequestSatisfied'), condition('Provisioned')];
    expect(mergeConditions(existing, [draft('Accepted')], wall).map(({ type }) => type)).toEqual([
      'Accepted',
      'Provisioned',
    ]);
  });
  test('a message longer than the API server takes is cut', () => {
    const [merged] = mergeConditions([], [draft('InSync', { message: 'x'.repeat(40_000) })], wall);
    expect(merged?.message.length).toBe(32_768);
  });
});

describe('sameConditions', () => {
  const ours = [condition('Accepted'), condition('InSync')];
  const rows: readonly [string, readonly Condition[], boolean][] = [
    [
      'in another order and beside others',
      [condition('X'), condition('InSync'), condition('Accepted')],
      true,
    ],
    ['at another time', ours.map((one) => ({ ...one, lastTransitionTime: '2020-01-01T00:00:00Z' })), true],
    ['with another status', [condition('Accepted', { status: 'False' }), condition('InSync')], false],
    ['with another reason', [condition('Accepted', { reason: 'Busy' }), condition('InSync')], false],
    ['with another message', [condition('Accepted', { message: 'n' }), condition('InSync')], false],
    ['one missing', [condition('InSync')], false],
    ['one more of ours', [...ours, condition('TargetsReady')], false],
  ];
  test.each(rows)('%s', (_idea, existing, same) => {
    expect(sameConditions(existing, ours)).toBe(same);
  });

  const drafts = fc.uniqueArray(
    fc.record({
      type: fc.constantFrom(...ownConditionTypes),
      status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const),
      reason: fc.constantFrom('InSync' as const, 'Busy' as const),
      message: fc.string(),
    }),
    { selector: ({ type }) => type },
  );
  test.prop([drafts, drafts])('what was merged needs no second write, at whatever time', (first, second) => {
    const before = mergeConditions([condition('X')], first, wall);
    const after = mergeConditions(before, second, wall);
    expect(sameConditions(after, mergeConditions(after, second, wall + 1e9))).toBe(true);
    expect(mergeConditions(after, second, wall + 1e9)).toEqual(after);
  });
});

test('dropConditions names those of ours that are there', () => {
  expect(dropConditions([condition('InSync'), condition('X'), condition('Accepted')])).toEqual({
    dropConditions: ['Accepted', 'InSync'],
  });
});

describe('sameIngress', () => {
  const http = { port: 80, protocol: 'TCP' } as const;
  const dns = { port: 53, protocol: 'UDP' } as const;
  const rows: readonly [string, readonly Ingress[], readonly Ingress[], boolean][] = [
    ['nothing and nothing', [], [], true],
    ['host names in another case', [{ hostname: 'A.elb.aws' }], [{ hostname: 'a.elb.aws' }], true],
    [
      'ports in another order',
      [{ ip: '1.2.3.4', ports: [http, dns] }],
      [{ ip: '1.2.3.4', ports: [dns, http] }],
      true,
    ],
    [
      'entries in another order',
      [{ ip: '1.2.3.4' }, { ip: '::1' }],
      [{ ip: '::1' }, { ip: '1.2.3.4' }],
      true,
    ],
    ['no ports and an empty list', [{ ip: '1.2.3.4', ports: [] }], [{ ip: '1.2.3.4' }], true],
    ['the default mode named', [{ ip: '1.2.3.4', ipMode: 'VIP' }], [{ ip: '1.2.3.4' }], true],
    ['another mode', [{ ip: '1.2.3.4', ipMode: 'Proxy' }], [{ ip: '1.2.3.4' }], false],
    [
      'another protocol on the same port',
      [{ ip: '1.2.3.4', ports: [{ port: 53, protocol: 'TCP' }] }],
      [{ ip: '1.2.3.4', ports: [dns] }],
      false,
    ],
    ['another address', [{ ip: '1.2.3.4' }], [{ ip: '1.2.3.5' }], false],
    ['a host name that looks like the address', [{ ip: '1.2.3.4' }], [{ hostname: '1.2.3.4' }], false],
    ['one more', [{ ip: '1.2.3.4' }], [{ ip: '1.2.3.4' }, { ip: '1.2.3.4' }], false],
    [
      'an error on a port',
      [{ ip: '1.2.3.4', ports: [{ ...http, error: 'X' }] }],
      [{ ip: '1.2.3.4', ports: [http] }],
      false,
    ],
  ];
  test.each(rows)('%s', (_idea, a, b, same) => {
    expect(sameIngress(a, b)).toBe(same);
    expect(sameIngress(b, a)).toBe(same);
  });
});

test('canonicalIngress never leaves a mode beside a host name, which the API server refuses', () => {
  expect(canonicalIngress([{ hostname: 'X.Example', ipMode: 'VIP' }])).toEqual([{ hostname: 'x.example' }]);
});
