/** What AWS refuses with, as errors of ours. */
import { describe, expect, test } from 'vitest';
import { classify } from './errors.ts';

function thrown(name: string, status?: number, message = 'because'): Error {
  return Object.assign(new Error(message), {
    name,
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status, requestId: 'r-1' } }),
  });
}

test.each<[string, number | undefined, string]>([
  ['LoadBalancerNotFoundException', 400, 'gone'],
  ['LoadBalancerNotFound', 400, 'gone'],
  ['TargetGroupNotFoundException', 400, 'gone'],
  ['ListenerNotFound', 400, 'gone'],
  ['DuplicateLoadBalancerNameException', 400, 'conflict'],
  ['DuplicateTargetGroupName', 400, 'conflict'],
  ['DuplicateListenerException', 400, 'conflict'],
  ['ResourceInUseException', 400, 'busy'],
  ['PriorRequestNotCompleteException', 429, 'busy'],
  ['CapacityReservationPendingException', 400, 'busy'],
  ['Throttling', 400, 'throttled'],
  ['ThrottlingException', 400, 'throttled'],
  ['RequestLimitExceeded', 503, 'throttled'],
  ['TooManyRequestsException', 429, 'throttled'],
  ['SomethingNew', 429, 'throttled'],
  ['TooManyLoadBalancersException', 400, 'quota'],
  ['TooManyListeners', 400, 'quota'],
  ['CapacityUnitsLimitExceededException', 400, 'quota'],
  ['CapacityDecreaseRequestLimitExceeded', 400, 'quota'],
  ['InsufficientCapacityException', 500, 'quota'],
  ['ValidationError', 400, 'invalid'],
  ['InvalidTargetException', 400, 'invalid'],
  ['ALPNPolicyNotFound', 400, 'invalid'],
  ['ALPNPolicyNotSupportedException', 400, 'invalid'],
  ['SubnetNotFoundException', 400, 'invalid'],
  ['CertificateNotFoundException', 400, 'invalid'],
  ['OperationNotPermittedException', 400, 'invalid'],
  ['AccessDenied', 403, 'denied'],
  ['AccessDeniedException', 403, 'denied'],
  ['UnauthorizedOperation', 403, 'denied'],
  ['ExpiredToken', 403, 'denied'],
  ['InvalidClientTokenId', 403, 'denied'],
  ['CredentialsProviderError', undefined, 'denied'],
  ['HealthUnavailableException', 500, 'transient'],
])('%s (%s) is %s', (name, status, kind) => {
  expect(classify(thrown(name, status), 'CreateLoadBalancer').kind).toBe(kind);
});

test('a quota is named as the console of AWS names it', () => {
  expect(classify(thrown('TooManyLoadBalancersException', 400), 'CreateLoadBalancer').message).toContain(
    'the quota "Network Load Balancers per Region" is reached: raise it at AWS',
  );
  expect(classify(thrown('TooManyTags', 400), 'AddTags').message).not.toContain('quota');
});

describe('a call without an answer', () => {
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
  test.each<[string, unknown, string, string]>([
    ['reset', reset, 'transient', 'ambiguous'],
    ['timed out', thrown('TimeoutError'), 'transient', 'ambiguous'],
    ['failed inside', thrown('InternalFailure', 500), 'transient', 'ambiguous'],
    ['never sent', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'transient', 'transient'],
    ['a defect of ours', new TypeError('x is not a function'), 'bug', 'bug'],
  ])('%s', (_, error, read, write) => {
    expect(classify(error, 'DescribeTags').kind).toBe(read);
    expect(classify(error, 'CreateListener').kind).toBe(write);
  });

  test('that we gave up ourselves may have happened', () => {
    const signal = AbortSignal.abort();
    expect(classify(thrown('AbortError'), 'CreateListener', signal)).toMatchObject({
      kind: 'ambiguous',
      code: 'Aborted',
    });
  });
});

test('the code, the call and the id of the request are kept', () => {
  expect(classify(thrown('TooManyTagsException', 400), 'AddTags')).toMatchObject({
    code: 'TooManyTags',
    action: 'AddTags',
    requestId: 'r-1',
    message: 'AddTags: TooManyTags: because',
  });
});

test('a time to wait is read from the header', () => {
  const error = Object.assign(thrown('Throttling', 400), { $response: { headers: { 'retry-after': '3' } } });
  expect(classify(error, 'AddTags').retryAfterMs).toBe(3_000);
});

test.each(['SignatureDoesNotMatch', 'ExpiredToken', 'AccessDenied'])(
  'what AWS quotes in a refusal of credentials (%s) goes nowhere',
  (name) => {
    const error = classify(thrown(name, 403, 'x-amz-security-token:SECRET'), 'DescribeTags');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('SECRET');
    expect(error.cause).toBeUndefined();
  },
);

test('a permission names its action, a credential none', () => {
  expect(classify(thrown('AccessDenied', 403), 'CreateListener').action).toBe(
    'elasticloadbalancing:CreateListener',
  );
  expect(classify(thrown('ExpiredToken', 403), 'CreateListener').action).toBeUndefined();
});

test.each([
  ['ExpiredToken', 'the credentials have expired; renew them'],
  ['InvalidClientTokenId', 'AWS does not know the access key; give the controller a role'],
  ['SignatureDoesNotMatch', 'the secret does not belong to the access key; correct the pair'],
  ['CredentialsProviderError', 'no credentials were found; give the controller a role'],
  ['NobodyKnowsThisOne', 'the credentials were not accepted; give the controller a role'],
])('%s says what to do', (name, advice) => {
  expect(classify(thrown(name, 403), 'DescribeTags').message).toContain(`DescribeTags: ${name}: ${advice}`);
});
