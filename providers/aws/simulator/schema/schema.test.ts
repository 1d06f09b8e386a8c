import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { simulatedOperations } from '../operations.ts';
import { checkShape } from './check.ts';
import { deriveSchema } from './generate.ts';
import { operationSchemas, type OperationSchema } from './model.ts';
import { readQuery } from './query.ts';
import { writeAnswer, writeError } from './xml.ts';

function schema(operation: string): OperationSchema {
  const found = operationSchemas.get(operation);
  if (found === undefined) throw new Error(`no operation ${operation}`);
  return found;
}

test('the committed schema is what the installed SDK publishes (else run schema/generate.ts)', () => {
  const committed: unknown = JSON.parse(readFileSync(new URL('schema.json', import.meta.url), 'utf8'));
  expect(committed).toEqual(deriveSchema());
});

test('every simulated operation is one of ELBv2', () => {
  expect([...simulatedOperations.keys()].filter((name) => !operationSchemas.has(name))).toEqual([]);
});

describe('a value against its shape', () => {
  const base = { Name: 'web' };
  test.each<[string, string, object, readonly string[]]>([
    ['conforms', 'CreateLoadBalancer', { ...base, Subnets: ['a'], Tags: [{ Key: 'k' }] }, []],
    ['has absent members', 'CreateLoadBalancer', { ...base, Scheme: undefined }, []],
    ['lacks a required member', 'CreateLoadBalancer', {}, ['Name is required']],
    ['lacks one deeper', 'CreateLoadBalancer', { ...base, Tags: [{}] }, ['Tags[0].Key is required']],
    [
      'has a member too many',
      'CreateLoadBalancer',
      { ...base, A: 1 },
      ['A is not a member of CreateLoadBalancerInput'],
    ],
    [
      'has text for a number',
      'CreateTargetGroup',
      { ...base, Port: '80' },
      ['Port must be an integer, not "80"'],
    ],
    ['has half a number', 'CreateTargetGroup', { ...base, Port: 0.5 }, ['Port must be an integer, not 0.5']],
    [
      'has text for a flag',
      'CreateTargetGroup',
      { ...base, HealthCheckEnabled: 'yes' },
      ['HealthCheckEnabled must be true or false, not "yes"'],
    ],
    [
      'has a single value for a list',
      'CreateLoadBalancer',
      { ...base, Subnets: 'a' },
      ['Subnets must be a list, not "a"'],
    ],
    [
      'has null in a list',
      'CreateLoadBalancer',
      { ...base, Subnets: [null] },
      ['Subnets[0] must be a string, not null'],
    ],
    [
      'has an unknown word',
      'CreateLoadBalancer',
      { ...base, Scheme: 'public' },
      ['Scheme must be one of [internal, internet-facing], not "public"'],
    ],
    [
      'has two faults',
      'CreateTargetGroup',
      { Port: 'x' },
      ['Port must be an integer, not "x"', 'Name is required'],
    ],
  ])('%s', (_what, operation, value, expected) => {
    expect(
      checkShape(schema(operation).input, value).map(({ path, message }) => `${path} ${message}`),
    ).toEqual(expected);
  });

  test('a date must be one', () => {
    const { output } = schema('DescribeLoadBalancers');
    expect(checkShape(output, { LoadBalancers: [{ CreatedTime: new Date(0) }] })).toEqual([]);
    expect(checkShape(output, { LoadBalancers: [{ CreatedTime: '1970-01-01' }] })).toHaveLength(1);
  });
});

function read(operation: string, text: string): unknown {
  return readQuery(schema(operation).input, new URLSearchParams(text));
}

describe('the query form', () => {
  test.each<[string, string, string, unknown]>([
    [
      'text and numbers',
      'CreateTargetGroup',
      'Action=x&Version=y&Name=a%20b&Port=80',
      { Name: 'a b', Port: 80 },
    ],
    ['flags', 'CreateTargetGroup', 'HealthCheckEnabled=false', { HealthCheckEnabled: false }],
    ['lists of text', 'DescribeLoadBalancers', 'Names.member.1=a&Names.member.2=b', { Names: ['a', 'b'] }],
    [
      'list members in any order',
      'DescribeLoadBalancers',
      'Names.member.10=c&Names.member.2=b&Names.member.1=a',
      { Names: ['a', 'b', 'c'] },
    ],
    ['empty lists', 'DescribeLoadBalancers', 'Names=', { Names: [] }],
    [
      'lists of structures',
      'AddTags',
      'Tags.member.1.Key=k&Tags.member.1.Value=',
      { Tags: [{ Key: 'k', Value: '' }] },
    ],
    [
      'structures in lists in structures',
      'CreateListener',
      'DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight=5',
      { DefaultActions: [{ ForwardConfig: { TargetGroups: [{ Weight: 5 }] } }] },
    ],
    [
      'maps',
      'CreateListener',
      'DefaultActions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.key=a&DefaultActions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.value=b',
      { DefaultActions: [{ AuthenticateOidcConfig: { AuthenticationRequestExtraParams: { a: 'b' } } }] },
    ],
    [
      'what cannot be read, as it came',
      'CreateTargetGroup',
      'Port=eighty&Colour=red',
      { Port: 'eighty', Colour: 'red' },
    ],
  ])('%s', (_what, operation, text, expected) => {
    expect(read(operation, text)).toEqual(expected);
  });
});

describe('the XML', () => {
  test('of an answer has the result and the request id', () => {
    const output = {
      LoadBalancers: [{ LoadBalancerName: 'a<b', CreatedTime: new Date(0), SecurityGroups: [] }],
    };
    expect(writeAnswer(schema('DescribeLoadBalancers'), output, 'r-1')).toBe(
      '<DescribeLoadBalancersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">' +
        '<DescribeLoadBalancersResult><LoadBalancers><member>' +
        '<CreatedTime>1970-01-01T00:00:00.000Z</CreatedTime>' +
        '<LoadBalancerName>a&lt;b</LoadBalancerName><SecurityGroups></SecurityGroups>' +
        '</member></LoadBalancers></DescribeLoadBalancersResult>' +
        '<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></DescribeLoadBalancersResponse>',
    );
  });

  test.each([
    [400, 'Sender'],
    [503, 'Receiver'],
  ])('of an error with status %i blames the %s', (status, type) => {
    expect(writeError('Code', 'a & b', status, 'r-1')).toContain(
      `<Error><Type>${type}</Type><Code>Code</Code><Message>a &amp; b</Message></Error><RequestId>r-1</RequestId>`,
    );
  });
});
