/** What Alibaba Cloud refuses with, as errors of ours. */
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../src/core/errors.ts';
import { classify } from './errors.ts';
import { CallFailure } from './failure.ts';
import type { FailureKind } from './failure.ts';

function refused(code: string, status = 400, message = 'because'): CallFailure {
  return new CallFailure('refused', message, { code, status, requestId: 'R-1' });
}

test.each<[string, number, string]>([
  ['InvalidLoadBalancerId.NotFound', 404, 'gone'],
  ['ListenerNotFound', 404, 'gone'],
  ['ResourceNotFound.VServerGroup', 404, 'gone'],
  ['InvalidParameter', 404, 'gone'],
  ['InvalidParameter', 400, 'invalid'],
  ['Throttling', 400, 'throttled'],
  ['Throttling.User', 503, 'throttled'],
  ['Throttling.Api', 429, 'throttled'],
  ['SomethingNew', 429, 'throttled'],
  ['ServiceIsConfiguring', 400, 'busy'],
  ['VServerGroupProcessing', 400, 'busy'],
  ['BackendServer.configuring', 409, 'busy'],
  ['SystemBusy', 449, 'busy'],
  ['OperationFailed.TokenIsProcessing', 400, 'busy'],
  ['LbStatusNotSupport', 400, 'busy'],
  ['SignatureNonceUsed', 400, 'transient'],
  ['ListenerAlreadyExists', 400, 'conflict'],
  ['InvalidParameter.ListenerPortConflict', 400, 'conflict'],
  ['LX_REQUEST_TOKEN_CONFLICT', 400, 'conflict'],
  ['RspoolVipExist', 400, 'conflict'],
  ['OperationDenied.DeleteProtectionIsOn', 400, 'conflict'],
  ['OperationForbidden.QuotaLimit', 400, 'quota'],
  ['QuotaLimitExceeds.BackendServer', 400, 'quota'],
  ['InstanceBackendServerNumberOverLimit', 400, 'quota'],
  ['ORDER.ARREARAGE', 400, 'quota'],
  ['PAYFOR.INSUFFICIENT', 400, 'quota'],
  ['OperationDenied.PayByCLCU', 400, 'invalid'],
  ['Forbidden.LcuToSpec', 403, 'invalid'],
  ['InvalidParameter.Bandwidth', 400, 'invalid'],
  ['ObtainIpFail', 400, 'invalid'],
  ['InvalidServerId.NotFound', 404, 'invalid'],
  ['MissingParam.VpcId', 400, 'invalid'],
  ['SomethingNew', 400, 'invalid'],
  ['SomethingNew', 403, 'denied'],
  ['SomethingNew', 500, 'ambiguous'],
  ['InternalError', 500, 'ambiguous'],
  ['Forbidden.RAM', 403, 'denied'],
  ['NoPermission.AliyunServiceRoleForSlbEipAccess', 400, 'denied'],
  ['InvalidAccessKeyId.NotFound', 404, 'denied'],
  ['InvalidSecurityToken.Expired', 400, 'denied'],
  ['SignatureDoesNotMatch', 400, 'denied'],
])('%s with status %i is %s', (code, status, kind) => {
  expect(classify(refused(code, status), 'CreateLoadBalancer')).toMatchObject({
    kind,
    code,
    requestId: 'R-1',
  });
});

describe('a call without an answer of the cloud', () => {
  test.each<[FailureKind, string, string, string]>([
    ['unanswered', 'ECONNRESET', 'transient', 'ambiguous'],
    ['unanswered', 'Timeout', 'transient', 'ambiguous'],
    ['unreadable', 'UnreadableAnswer', 'transient', 'ambiguous'],
    ['aborted', 'Aborted', 'transient', 'ambiguous'],
    ['not-sent', 'ECONNREFUSED', 'transient', 'transient'],
    ['defect', 'TypeError', 'bug', 'bug'],
  ])('%s (%s): a read is %s, a write %s', (kind, code, read, write) => {
    const failure = new CallFailure(kind, 'because', { code });
    expect(classify(failure, 'DescribeLoadBalancers')).toMatchObject({ kind: read, code });
    expect(classify(failure, 'DeleteVServerGroup')).toMatchObject({ kind: write, code });
  });

  test('an end point without an address points at the settings', () => {
    const failure = new CallFailure('not-sent', '', { code: 'ENOTFOUND' });
    expect(classify(failure, 'DescribeLoadBalancers').message).toMatch(/check the region and the endpoint/);
  });
});

test('a missing permission is named as RAM knows it, from the answer or from the call', () => {
  const told = new CallFailure('refused', 'x', {
    code: 'Forbidden.RAM',
    status: 403,
    missingAction: 'slb:TagResources',
  });
  expect(classify(told, 'CreateLoadBalancer')).toMatchObject({ action: 'slb:TagResources' });
  expect(classify(refused('Forbidden.RAM', 403), 'DescribeVSwitches')).toMatchObject({
    action: 'vpc:DescribeVSwitches',
  });
});

test('a credential that is not accepted has no action and says what to do', () => {
  const error = classify(refused('InvalidSecurityToken.Expired'), 'CreateLoadBalancer');
  expect(error.action).toBeUndefined();
  expect(error.message).toMatch(/a role is renewed by itself.*\(request R-1\)$/);
});

test('unpaid bills are called that', () => {
  expect(classify(refused('ORDER.ARREARAGE'), 'CreateLoadBalancer').message).toMatch(/unpaid bills/);
});

test('how long to stay away goes along', () => {
  const failure = new CallFailure('refused', '', { code: 'Throttling', status: 400, retryAfterMs: 900 });
  expect(classify(failure, 'CreateLoadBalancer').retryAfterMs).toBe(900);
});

test('what is ours already stays as it is', () => {
  const ours = new SluiceError('denied', 'no role', { code: 'NodeRoleMissing' });
  expect(classify(ours, 'CreateLoadBalancer')).toBe(ours);
});

describe('nothing secret leaves', () => {
  const keyId = 'LTAI5tPlantedPlanted01';
  const token = `CAIS${'aB3/'.repeat(60)}`;
  const url = `https://slb.aliyuncs.com/?AccessKeyId=${keyId}&Signature=planted`;
  const text = `bad request ${url} of ${keyId} with ${token}`;

  test.each([
    ['SignatureDoesNotMatch', 400],
    ['InvalidParameter', 400],
    ['Forbidden.RAM', 403],
    ['InternalError', 500],
  ])('with %s', (code, status) => {
    const error = classify(refused(code, status, text), 'CreateLoadBalancer');
    const shown = `${error.message} ${error.stack ?? ''} ${JSON.stringify(error)} ${String(error.cause)}`;
    for (const secret of [keyId, token, 'Signature=', 'slb.aliyuncs.com/?'])
      expect(shown).not.toContain(secret);
  });
});
