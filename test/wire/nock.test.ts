/**
 * Odd answers of AWS through the real SDK client and the provider's door: what becomes of each, how often it
 * is tried, and that nothing secret is told. How a stateful AWS answers is the simulator's matter.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quotaAdvice } from '../../providers/aws/quota-advice.ts';
import { createAwsProvider } from '../../providers/aws/provider.ts';
import { seededRandom } from '../../src/core/clock.ts';
import type { ErrorKind } from '../../src/core/errors.ts';
import { cluster, testConfig, worldOf } from '../support/aws-bench.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { canned, errorOf, expectNoSecret, refusal, result, type Canned } from './elbv2-canned.ts';

const signal = new AbortController().signal;
const arn = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/web/0123456789abcdef';

let aws: Canned;

beforeEach(() => {
  aws = canned();
});

afterEach(() => aws.close());

const write = () => aws.door.call('DeleteListener', { ListenerArn: arn }, signal);
const read = () => aws.door.call('DescribeTags', { ResourceArns: [arn] }, signal);

/** How often a write is made in all before its error goes up (providers/aws/door.ts). */
const triesOf: Partial<Record<ErrorKind, number>> = { transient: 2, ambiguous: 2 };

interface Row {
  readonly code: string;
  readonly status?: number;
  readonly kind: ErrorKind;
  /** Where the SDK's name of it is not the code with `Exception` behind. */
  readonly told?: string;
}

const rows: readonly Row[] = [
  { code: 'LoadBalancerNotFound', kind: 'gone' },
  { code: 'TargetGroupNotFound', kind: 'gone' },
  { code: 'ListenerNotFound', kind: 'gone' },
  { code: 'RuleNotFound', kind: 'gone' },
  { code: 'DuplicateLoadBalancerName', kind: 'conflict' },
  { code: 'DuplicateTargetGroupName', kind: 'conflict' },
  { code: 'DuplicateListener', kind: 'conflict' },
  { code: 'TargetGroupAssociationLimit', kind: 'conflict' },
  { code: 'ResourceInUse', kind: 'busy' },
  { code: 'DependencyViolation', kind: 'busy' },
  { code: 'PriorRequestNotComplete', status: 429, kind: 'busy' },
  { code: 'CapacityReservationPending', kind: 'busy' },
  { code: 'Throttling', kind: 'throttled' },
  { code: 'Throttled', kind: 'throttled' },
  { code: 'RequestLimitExceeded', status: 503, kind: 'throttled' },
  { code: 'RequestThrottled', kind: 'throttled' },
  { code: 'TooManyRequests', status: 429, kind: 'throttled' },
  { code: 'TooManyLoadBalancers', kind: 'quota' },
  { code: 'TooManyTargetGroups', kind: 'quota' },
  { code: 'TooManyListeners', kind: 'quota' },
  { code: 'TooManyTargets', kind: 'quota' },
  { code: 'TooManyTags', kind: 'quota' },
  { code: 'TooManyCertificates', kind: 'quota' },
  { code: 'TooManyRegistrationsForTargetId', kind: 'quota' },
  { code: 'TooManyUniqueTargetGroupsPerLoadBalancer', kind: 'quota' },
  { code: 'CapacityUnitsLimitExceeded', kind: 'quota' },
  { code: 'InsufficientCapacity', status: 500, kind: 'quota' },
  { code: 'ValidationError', kind: 'invalid' },
  { code: 'InvalidConfigurationRequest', kind: 'invalid' },
  { code: 'InvalidSubnet', kind: 'invalid' },
  { code: 'InvalidTarget', kind: 'invalid' },
  { code: 'InvalidSecurityGroup', kind: 'invalid' },
  { code: 'InvalidScheme', kind: 'invalid' },
  { code: 'InvalidParameterValue', kind: 'invalid' },
  { code: 'SubnetNotFound', kind: 'invalid' },
  { code: 'CertificateNotFound', kind: 'invalid' },
  { code: 'SSLPolicyNotFound', kind: 'invalid' },
  { code: 'AllocationIdNotFound', kind: 'invalid' },
  { code: 'AvailabilityZoneNotSupported', kind: 'invalid' },
  { code: 'IncompatibleProtocols', kind: 'invalid' },
  { code: 'UnsupportedProtocol', kind: 'invalid' },
  { code: 'OperationNotPermitted', kind: 'invalid' },
  { code: 'HealthUnavailable', status: 500, kind: 'transient' },
  // The two whose wire code and SDK name do not go together.
  { code: 'ALPNPolicyNotFound', kind: 'invalid', told: 'ALPNPolicyNotSupported' },
  {
    code: 'CapacityDecreaseRequestLimitExceeded',
    kind: 'quota',
    told: 'CapacityDecreaseRequestsLimitExceeded',
  },
];

describe.each([
  ['as on the wire', (code: string) => code],
  ['with Exception behind', (code: string) => `${code}Exception`],
])('refusals %s', (_form, spell) => {
  test.each(rows)('$code is $kind', async ({ code, status = 400, kind, told }) => {
    const tries = triesOf[kind] ?? 1;
    aws.host.answer(refusal(spell(code), status), tries);
    const error = await errorOf(write());
    expect(error).toMatchObject({ kind, action: 'DeleteListener', requestId: 'req-1' });
    expect([code, told]).toContain(error.code);
    expect(error.message).toBe(`DeleteListener: ${error.code}: because${quotaAdvice(error.code)}`);
    expect(aws.host.seen).toHaveLength(tries);
    expectNoSecret(error);
  });
});

describe('throttling', () => {
  test.each([
    ['Throttling', 400],
    ['ThrottlingException', 400],
    ['ThrottledException', 400],
    ['RequestLimitExceeded', 503],
    ['RequestThrottledException', 400],
    ['TooManyRequestsException', 429],
    ['SomethingNew', 429],
    ['SlowDown', 503],
  ])('%s with status %d is waited out and a read made again', async (code, status) => {
    aws.host.answer(refusal(code, status, 'Rate exceeded'));
    aws.host.answer(result('DescribeTags', '<TagDescriptions/>'));
    await read();
    expect(aws.host.seen).toHaveLength(2);
  });

  test('a 429 without a body is throttling too', async () => {
    aws.host.answer({ status: 429, body: '' });
    expect(await errorOf(write())).toMatchObject({ kind: 'throttled', action: 'DeleteListener' });
  });

  test('a time to wait that is named is passed on', async () => {
    aws.host.answer(refusal('Throttling', 400, 'Rate exceeded', { 'retry-after': '7' }), 4);
    expect(await errorOf(read())).toMatchObject({ kind: 'throttled', retryAfterMs: 7_000 });
  });
});

describe('no proper answer: a read had no effect, a write may have', () => {
  const html = { 'content-type': 'text/html' };
  test.each([
    ['500 with a page', { status: 500, body: '<html><h1>Internal Server Error</h1></html>', headers: html }],
    ['502 with a page', { status: 502, body: '<html><h1>Bad Gateway</h1></html>', headers: html }],
    ['503 with a page', { status: 503, body: '<!DOCTYPE html><p>busy & sorry</p>', headers: html }],
    ['503 with an empty body', { status: 503, body: '' }],
    ['500 in AWS’s own form', refusal('InternalFailure', 500)],
    ['503 in AWS’s own form', refusal('ServiceUnavailable', 503)],
    ['500 cut off in the middle', { status: 500, body: '<ErrorResponse><Error><Code>Internal' }],
    ['200 that is cut off in the middle', { status: 200, body: '<DeleteListenerResponse><Del' }],
    [
      '200 that is a page of a proxy',
      { status: 200, body: '<html><p>Please log in<br></html>', headers: html },
    ],
  ])('%s', async (_what, answer) => {
    aws.host.answer(answer, 2);
    const written = await errorOf(write());
    expect(written).toMatchObject({
      kind: 'ambiguous',
      action: 'DeleteListener',
      code: expect.stringMatching(/^(Http50[0-9]|UnreadableAnswer|InternalFailure|ServiceUnavailable)$/),
    });
    aws.host.answer(answer, 2);
    const error = await errorOf(read());
    expect(error).toMatchObject({ kind: 'transient', action: 'DescribeTags' });
    for (const one of [written, error]) {
      expectNoSecret(one);
      expect(one.message).not.toContain('<');
      expect(one.message.length).toBeLessThan(300);
    }
  });

  test.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])('a connection that breaks with %s', async (code) => {
    aws.host.breakWith(code, 2);
    expect(await errorOf(write())).toMatchObject({ kind: 'ambiguous', code, action: 'DeleteListener' });
    aws.host.breakWith(code, 2);
    expect(await errorOf(read())).toMatchObject({ kind: 'transient', code, action: 'DescribeTags' });
  });

  test.each(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])(
    'a connection that is never made (%s): not even a write can have happened',
    async (code) => {
      aws.host.breakWith(code, 2);
      expect(await errorOf(write())).toMatchObject({ kind: 'transient', code, action: 'DeleteListener' });
    },
  );

  test('a broken connection is tried once more before anybody hears of it', async () => {
    aws.host.breakWith('ECONNRESET');
    aws.host.answer(result('DeleteListener', ''));
    await write();
  });

  test('an answer that does not come in time', async () => {
    aws.close();
    aws = canned({ answerMs: 50 });
    aws.host.answer({ ...result('DeleteListener', ''), delayMs: 300 }, 2);
    const error = await errorOf(write());
    expect(error).toMatchObject({ kind: 'ambiguous', code: 'ETIMEDOUT', action: 'DeleteListener' });
    expectNoSecret(error);
  });

  test('a call that is abandoned under way may have happened', async () => {
    const ends = new AbortController();
    aws.host.answer(() => {
      ends.abort(new Error('lease lost'));
      return { ...result('DeleteListener', ''), delayMs: 100 };
    });
    expect(await errorOf(aws.door.call('DeleteListener', { ListenerArn: arn }, ends.signal))).toMatchObject({
      kind: 'ambiguous',
      code: 'Aborted',
    });
  });
});

describe('permissions', () => {
  test.each(['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation'])(
    '%s names the action to allow, and not who we are',
    async (code) => {
      const message = `User: arn:aws:sts::123456789012:assumed-role/x/${credentialsInWords} is not authorized`;
      aws.host.answer(refusal(code, 403, message));
      const error = await errorOf(write());
      expect(error).toMatchObject({ kind: 'denied', action: 'elasticloadbalancing:DeleteListener' });
      expect(error.message).toContain('the action elasticloadbalancing:DeleteListener is not allowed');
      expect(error.message).not.toContain(credentialsInWords);
      expect(aws.host.seen).toHaveLength(1);
      expectNoSecret(error);
    },
  );
});

const credentialsInWords = 'session-of-somebody';

describe('answers that are right, and odd', () => {
  const balancers = (members: string): string => `<LoadBalancers>${members}</LoadBalancers>`;

  test('empty lists in either spelling are lists', async () => {
    for (const inner of ['<LoadBalancers/>', '<LoadBalancers></LoadBalancers>']) {
      aws.host.answer(result('DescribeLoadBalancers', inner));
      expect(await aws.door.call('DescribeLoadBalancers', {}, signal)).toMatchObject({ LoadBalancers: [] });
    }
  });

  test('fields that nobody knows are passed over', async () => {
    const members = `<member><LoadBalancerArn>${arn}</LoadBalancerArn><Novelty><member>1</member></Novelty><LoadBalancerName>web</LoadBalancerName></member>`;
    aws.host.answer(result('DescribeLoadBalancers', `${balancers(members)}<NewThing>x</NewThing>`));
    const { LoadBalancers } = await aws.door.call('DescribeLoadBalancers', {}, signal);
    expect(LoadBalancers).toEqual([
      expect.objectContaining({ LoadBalancerArn: arn, LoadBalancerName: 'web' }),
    ]);
  });

  test('what is asked is signed, sent as a form, and nothing of it is in the URL', async () => {
    aws.host.answer(result('DescribeLoadBalancers', balancers('')));
    await aws.door.call('DescribeLoadBalancers', { Names: ['web'] }, signal);
    const [seen] = aws.host.seen;
    expect(seen?.url).toBe('https://elasticloadbalancing.eu-west-1.amazonaws.com/');
    expect(new URLSearchParams(seen?.body).get('Names.member.1')).toBe('web');
    expect(seen?.headers['authorization']).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\//);
  });

  test('a DNS name in mixed case is published in lower case', async () => {
    const state = cluster();
    const clock = scaledClock(1_000);
    const provider = createAwsProvider({
      client: aws.client,
      config: testConfig(),
      clock,
      random: seededRandom(1),
    });
    const { wanted } = provider.want(provider.parse(state.service).settings, worldOf(state));
    const tags = Object.entries(wanted.tags)
      .map(([key, value]) => `<member><Key>${key}</Key><Value>${value}</Value></member>`)
      .join('');
    const balancer = `<member><LoadBalancerArn>${arn}</LoadBalancerArn><LoadBalancerName>${wanted.name}</LoadBalancerName><DNSName>Web-0A1B2C.ELB.eu-west-1.AmazonAWS.com</DNSName><Type>network</Type><Scheme>internal</Scheme><VpcId>vpc-1</VpcId><State><Code>active</Code></State></member>`;
    const answers: Readonly<Record<string, string>> = {
      DescribeLoadBalancers: balancers(balancer),
      DescribeTargetGroups: '<TargetGroups/>',
      DescribeListeners: '<Listeners/>',
      DescribeTags: `<TagDescriptions><member><ResourceArn>${arn}</ResourceArn><Tags>${tags}</Tags></member></TagDescriptions>`,
    };
    aws.host.answer(({ body }) => {
      const action = new URLSearchParams(body).get('Action') ?? '';
      return result(action, answers[action] ?? '');
    }, Object.keys(answers).length);
    const observed = await provider.observe({
      owner: {
        cluster: { name: 'test', id: 'cluster-1' },
        service: state.service.key,
        uid: state.service.uid,
      },
      depth: 'full',
      wanted,
      previous: undefined,
      signal,
    });
    expect(provider.addresses(wanted, observed)).toMatchObject({
      kind: 'ready',
      ingress: [{ hostname: 'web-0a1b2c.elb.eu-west-1.amazonaws.com' }],
    });
  });
});

test('the helper itself: what is not prepared, and what nobody asks for, fails the test', async () => {
  aws.close();
  const unprepared = canned();
  await unprepared.door.call('DescribeTags', { ResourceArns: [arn] }, signal).catch(() => undefined);
  expect(() => unprepared.close()).toThrow(/nothing was prepared for: POST https:/);
  const idle = canned();
  idle.host.answer({ status: 200, body: '' });
  expect(() => idle.close()).toThrow(/nobody asked for/);
  aws = canned();
});
