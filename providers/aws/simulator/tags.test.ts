import { expect, test } from 'vitest';
import { bench } from './testing.ts';

const tags = (count: number, prefix = 'k'): { Key: string; Value: string }[] =>
  Array.from({ length: count }, (_, index) => ({ Key: `${prefix}${index}`, Value: 'v' }));

test.each([
  ['50 tags', tags(50), 'accepted'],
  ['51 tags', tags(51), 'TooManyTags'],
  ['a key twice', [...tags(1), ...tags(1)], 'DuplicateTagKeys'],
  ['a key of 128 characters', [{ Key: 'k'.repeat(128), Value: '' }], 'accepted'],
  ['a key of 129 characters', [{ Key: 'k'.repeat(129), Value: '' }], 'ValidationError'],
  ['a value of 257 characters', [{ Key: 'k', Value: 'v'.repeat(257) }], 'ValidationError'],
  ['the prefix of AWS itself', [{ Key: 'aws:k', Value: 'v' }], 'ValidationError'],
])('AddTags: %s', (_what, Tags, code) => {
  const { codeOf, createTargetGroup } = bench();
  expect(codeOf('AddTags', { ResourceArns: [createTargetGroup()], Tags })).toBe(code);
});

test('AddTags counts the tags that are there, and changes nothing when there would be too many', () => {
  const { account, codeOf, call, createTargetGroup } = bench();
  const full = createTargetGroup();
  const empty = createTargetGroup({ Name: 'empty' });
  call('AddTags', { ResourceArns: [full], Tags: tags(50) });
  expect(codeOf('AddTags', { ResourceArns: [full], Tags: [{ Key: 'k0', Value: 'new' }] })).toBe('accepted');
  expect(codeOf('AddTags', { ResourceArns: [empty, full], Tags: tags(1, 'other') })).toBe('TooManyTags');
  expect(account.resources()[1]?.tags).toEqual({});
});

test('RemoveTags leaves other keys and does not mind absent ones', () => {
  const { account, call, createLoadBalancer } = bench();
  const arn = createLoadBalancer({ Tags: tags(2) });
  call('RemoveTags', { ResourceArns: [arn], TagKeys: ['k1', 'never'] });
  expect(account.resources()[0]?.tags).toEqual({ k0: 'v' });
});

test.each([
  ['load balancer', 'loadbalancer/net/x/0123456789abcdef', 'LoadBalancerNotFound'],
  ['target group', 'targetgroup/x/0123456789abcdef', 'TargetGroupNotFound'],
  ['listener', 'listener/net/x/0123456789abcdef/0123456789abcdef', 'ListenerNotFound'],
  ['nothing', 'nothing/x', 'ValidationError'],
])('DescribeTags fails as a whole for an unknown %s', (_what, name, code) => {
  const { codeOf, createTargetGroup } = bench();
  const arn = `arn:aws:elasticloadbalancing:eu-west-1:123456789012:${name}`;
  expect(codeOf('DescribeTags', { ResourceArns: [createTargetGroup(), arn] })).toBe(code);
});

test('DescribeTags takes 20 resources and no more', () => {
  const { codeOf, createTargetGroup } = bench();
  const arns = Array.from({ length: 21 }, (_, index) => createTargetGroup({ Name: `g${index}` }));
  expect(codeOf('DescribeTags', { ResourceArns: arns.slice(1) })).toBe('accepted');
  expect(codeOf('DescribeTags', { ResourceArns: arns })).toBe('ValidationError');
});
