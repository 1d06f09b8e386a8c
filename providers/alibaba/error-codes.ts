/**
 * Which kind of error each code of SLB is: exact codes first, then families by their beginning.
 *
 * From the vendor's error tables for SLB 2014-05-15 and the codes that other controllers treat as passing.
 * Decisions are made by code and status, never by a message text, which changes without notice.
 */
import type { ErrorKind } from '../../src/core/errors.ts';

/** Kinds, and two that depend on the call: no effect is known of a read, but perhaps one of a write. */
export type CodeKind = ErrorKind | 'unanswered';

const byKind: Readonly<Partial<Record<CodeKind, readonly string[]>>> = {
  gone: [
    'InvalidLoadBalancerId.NotFound',
    'ListenerNotFound',
    'ResourceNotFound.Listener',
    'ResourceNotFound.VServerGroup',
    'InvalidParam.VServerGroupId',
    'InvalidVServerGroupId.NotFound',
    'ResourceNotExist',
    'DomainExtensionNotExist',
  ],
  busy: [
    'ServiceIsConfiguring',
    'ServiceIsStopping',
    'ListenerProcessing',
    'VServerGroupProcessing',
    'OperationFailed.ServiceGroupProcessing',
    'OperationFailed.TokenIsProcessing',
    'OperationFailed.ListenerStatusNotSupport',
    'BackendServer.configuring',
    'Operation.Deny',
    'OperationBusy',
    'SystemBusy',
    'VpcSystemBusy',
    'ProcessingSameRequest',
    'DomainExtensionProcessing',
    'TLSPolicyConfiguring',
    'LbStatusNotSupport',
    'ActionNotAllowed',
  ],
  transient: ['SignatureNonceUsed'],
  unanswered: [
    'InternalError',
    'InternalInvokeError',
    'ServiceUnavailable',
    'LocationServiceTimeout',
    'SDK.ServerUnreachable',
    'OrderFailed',
    'CreateOrderTimeout',
    'QueryOrderError',
  ],
  conflict: [
    'ListenerAlreadyExists',
    'ListenerPortConflict',
    'InvalidParameter.ListenerPortConflict',
    'LX_REQUEST_TOKEN_CONFLICT',
    'RspoolVipExist',
    'RspoolRuleExist',
    'OperationFailed.ServerGroupInUse',
    'ListenerForwardExist',
    'OperationDenied.DeleteProtectionIsOn',
    'Operation.NotAllowed',
  ],
  quota: [
    'ListenerNumberOverLimit',
    'VipTooManyListeners',
    'OverQuota',
    'ORDER.QUANTITY_INVALID',
    'OperationForbidden.QuotaLimit',
    'OperationFailed.ZoneResourceLimit',
    'OperationFailed.RegionResourceLimit',
    'OperationFailed.InsufficientResources',
    'AclListenerOverLimit',
    'DomainExtensionNumberOverLimit',
    'SizeLimitExceeded.Tag',
    'InstanceBackendServerNumberOverLimit',
    'TooManyBackendServers',
    'ShareSlbHaltSales',
    // Money: like a limit, it is lifted from outside and worth a slow retry.
    'ORDER.ARREARAGE',
    'OperationFailed.UnpaidBillsExist',
    'InsufficientBalance',
    'PayInsufficientBalance',
  ],
  invalid: ['Forbidden.LcuToSpec'],
  denied: [
    'SignatureDoesNotMatch',
    'IncompleteSignature',
    'MissingSecurityToken',
    'InvalidTimeStamp.Expired',
  ],
};

const families: readonly (readonly [beginning: string, kind: CodeKind])[] = [
  ['Throttling', 'throttled'],
  ['QuotaLimitExceeds.', 'quota'],
  ['PAYFOR.', 'quota'],
  ['Forbidden', 'denied'],
  ['NoPermission', 'denied'],
  ['InvalidAccessKeyId', 'denied'],
  ['InvalidSecurityToken', 'denied'],
];

const exact: ReadonlyMap<string, CodeKind> = new Map(
  Object.entries(byKind).flatMap(([kind, codes]) => codes.map((code) => [code, kind as CodeKind] as const)),
);

/** The kind of a code, with the status where the code alone says too little; undefined for one not known. */
export function kindOfCode(code: string, status: number | undefined): CodeKind | undefined {
  const known = exact.get(code);
  if (known !== undefined) return known;
  const family = families.find(([beginning]) => code.startsWith(beginning));
  if (family !== undefined) return family[1];
  // So is a group reported that is not there; with any other status it is a wrong value.
  if (code === 'InvalidParameter' && status === 404) return 'gone';
  return undefined;
}

const unpaid =
  /^(ORDER\.ARREARAGE|OperationFailed\.UnpaidBillsExist|InsufficientBalance|PayInsufficientBalance|PAYFOR\..*)$/;

/** Bills to pay, not a limit to raise. */
export function isAboutMoney(code: string): boolean {
  return unpaid.test(code);
}

const aboutServers =
  /^(InvalidServerId\..*|ResourceNotFound\.vServers|ObtainIpFail|InvalidBackendServers\..*|NetworkConflict)$/;

/** One of the servers of the call is at fault, not the call: the others may go in without it. */
export function isAboutServers(code: string): boolean {
  return aboutServers.test(code);
}

/** A permission for one action is missing; other denials concern the credential as a whole. */
export function isAboutPermission(code: string): boolean {
  return code.startsWith('Forbidden') || code.startsWith('NoPermission');
}

const renewable = /^InvalidSecurityToken(\.|$)/;

/** The temporary credential is at its end or was withdrawn: a new one may be accepted. */
export function isStaleCredential(code: string): boolean {
  return renewable.test(code);
}
