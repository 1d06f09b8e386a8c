/**
 * What the simulated cloud refuses with: the wire code, the message and the HTTP status.
 *
 * These are the other party's words, not Sluice's errors: the AWS adapter translates them like the real ones.
 */

import { modelledErrors } from './schema/model.ts';

/** Codes that any AWS query service may answer with; they are not modelled, so the SDK uses them as names. */
const COMMON: Readonly<Record<string, { readonly httpStatus: number; readonly message: string }>> = {
  AccessDenied: { httpStatus: 403, message: 'User is not authorized to perform this operation' },
  ExpiredToken: { httpStatus: 403, message: 'The security token included in the request is expired' },
  IncompleteSignature: {
    httpStatus: 400,
    message: 'The request signature does not conform to AWS standards',
  },
  InternalFailure: {
    httpStatus: 500,
    message: 'The request processing has failed because of an unknown error',
  },
  InvalidAction: { httpStatus: 400, message: 'The action or operation requested is invalid' },
  InvalidClientTokenId: { httpStatus: 403, message: 'The security token included in the request is invalid' },
  MissingAuthenticationToken: { httpStatus: 403, message: 'Request is missing Authentication Token' },
  RequestExpired: { httpStatus: 400, message: 'The request has expired' },
  RequestLimitExceeded: { httpStatus: 503, message: 'Request limit exceeded' },
  ServiceUnavailable: { httpStatus: 503, message: 'The request has failed due to a temporary failure' },
  SignatureDoesNotMatch: { httpStatus: 403, message: 'The request signature does not match' },
  Throttling: { httpStatus: 400, message: 'Rate exceeded' },
  ThrottlingException: { httpStatus: 400, message: 'Rate exceeded' },
  TooManyRequestsException: { httpStatus: 429, message: 'Rate exceeded' },
  UnauthorizedOperation: { httpStatus: 403, message: 'You are not authorized to perform this operation' },
  ValidationError: { httpStatus: 400, message: 'The input fails to satisfy the constraints' },
};

/** A refusal of the simulated cloud. `code` is the wire code, without the SDK's `Exception`. */
export class CloudError extends Error {
  readonly code: string;
  readonly httpStatus: number;

  constructor(code: string, message?: string, httpStatus?: number) {
    super(message ?? COMMON[code]?.message ?? code);
    this.name = 'CloudError';
    this.code = code;
    this.httpStatus = httpStatus ?? modelledErrors[code]?.httpStatus ?? COMMON[code]?.httpStatus ?? 400;
  }
}

/** The answer never arrives, although the call may have had its effect: what a reset connection looks like. */
export class AnswerLost extends Error {
  override readonly name = 'AnswerLost';
}

/** The name that the JavaScript SDK gives to an error with this wire code: the modelled one, else the code itself. */
export function sdkErrorName(code: string): string {
  return modelledErrors[code]?.name ?? code;
}

/** True for codes that are answers to any operation, modelled or not. */
export function isCommonCode(code: string): boolean {
  return COMMON[code] !== undefined;
}

export function validation(message: string): CloudError {
  return new CloudError('ValidationError', message);
}

export function misconfigured(message: string): CloudError {
  return new CloudError('InvalidConfigurationRequest', message);
}
