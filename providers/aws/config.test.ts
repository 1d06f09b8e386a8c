/** The section `providers.aws` of the settings file. */
import { expect, test } from 'vitest';
import { parseAwsConfig } from './config.ts';

const good = { region: 'eu-west-1', subnets: { internal: ['subnet-a'] } };

test('what is not said has its default', () => {
  const { config, problems } = parseAwsConfig(good);

  expect(problems).toEqual([]);
  expect(config).toEqual({
    region: 'eu-west-1',
    subnets: { 'internet-facing': [], internal: ['subnet-a'] },
    securityGroups: [],
    vpcId: undefined,
    endpoint: undefined,
    scheme: 'internal',
    rates: {
      read: { perSecond: 10, burst: 36 },
      register: { perSecond: 4, burst: 18 },
      modify: { perSecond: 3, burst: 18 },
    },
    tags: {},
  });
});

test('rates are a number, or a number and a burst', () => {
  const { config, problems } = parseAwsConfig({
    ...good,
    rates: { read: 100, modify: { perSecond: 5, burst: 10 } },
  });

  expect(problems).toEqual([]);
  expect(config.rates).toEqual({
    read: { perSecond: 100, burst: 100 },
    register: { perSecond: 4, burst: 18 },
    modify: { perSecond: 5, burst: 10 },
  });
});

test.each<[string, unknown, string]>([
  ['nothing at all', undefined, 'providers.aws.region'],
  ['a list', [], 'providers.aws'],
  ['no region', {}, 'providers.aws.region'],
  ['a zone for a region', { region: 'eu-west-1a' }, 'providers.aws.region'],
  ['a field that is not known', { ...good, subnet: 'x' }, 'providers.aws.subnet'],
  ['a scheme that is not known', { ...good, scheme: 'public' }, 'providers.aws.scheme'],
  [
    'subnets of a scheme that is not known',
    { ...good, subnets: { public: [] } },
    'providers.aws.subnets.public',
  ],
  [
    'subnets that are no list',
    { ...good, subnets: { internal: 'subnet-a' } },
    'providers.aws.subnets.internal',
  ],
  ['a subnet by name', { ...good, subnets: { internal: ['a'] } }, 'providers.aws.subnets.internal[0]'],
  [
    'a subnet twice',
    { ...good, subnets: { internal: ['subnet-a', 'subnet-a'] } },
    'providers.aws.subnets.internal[1]',
  ],
  ['an end point that is no URL', { ...good, endpoint: 'localhost:1' }, 'providers.aws.endpoint'],
  ['an end point with a password', { ...good, endpoint: 'http://a:b@c' }, 'providers.aws.endpoint'],
  ['a rate of nothing', { ...good, rates: { read: 0 } }, 'providers.aws.rates.read'],
  ['a class of calls that is not known', { ...good, rates: { write: 1 } }, 'providers.aws.rates.write'],
  [
    'a tag that is reserved',
    { ...good, tags: { 'sluice.dev/uid': 'x' } },
    'providers.aws.tags.sluice.dev/uid',
  ],
  ['a tag that is no text', { ...good, tags: { a: 1 } }, 'providers.aws.tags.a'],
])('%s is told by its field', (_, value, field) => {
  const { problems } = parseAwsConfig(value);
  expect(problems.map((problem) => [problem.severity, problem.reason, problem.field])).toContainEqual([
    'error',
    'InvalidConfig',
    field,
  ]);
});

test('a password is never repeated', () => {
  const { problems } = parseAwsConfig({ ...good, endpoint: 'http://user:secret@host' });
  expect(JSON.stringify(problems)).not.toContain('secret');
});

test('all mistakes are told at once', () => {
  const { problems } = parseAwsConfig({ region: 1, scheme: 2, subnets: 3, rates: 4, tags: 5, vpcId: 6 });
  expect(problems).toHaveLength(6);
});
