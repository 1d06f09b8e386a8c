/** How the simulated cloud refuses: codes of SLB with the status that goes with them. */

/** Codes whose status is not 400. */
const statuses: Readonly<Record<string, number>> = {
  'InvalidLoadBalancerId.NotFound': 404,
  ListenerNotFound: 404,
  'ResourceNotFound.Listener': 404,
  'ResourceNotFound.VServerGroup': 404,
  'InvalidServerId.NotFound': 404,
  'InvalidAction.NotFound': 404,
  'InvalidRegionId.NotFound': 404,
  'InvalidAccessKeyId.NotFound': 404,
  'Forbidden.RAM': 403,
  Forbidden: 403,
  'BackendServer.configuring': 409,
  ServiceIsStopping: 409,
  InternalError: 500,
  ServiceUnavailable: 503,
};

export class CloudError extends Error {
  override readonly name = 'CloudError';
  readonly code: string;
  readonly httpStatus: number;

  constructor(code: string, message?: string, httpStatus?: number) {
    super(message ?? code);
    this.code = code;
    this.httpStatus = httpStatus ?? statuses[code] ?? 400;
  }
}

/** The answer never arrives, although the call may have had its effect: what a reset connection looks like. */
export class AnswerLost extends Error {
  override readonly name = 'AnswerLost';
}

export function invalid(parameter: string, why: string): CloudError {
  return new CloudError(`InvalidParameter.${parameter}`, `The specified ${parameter} is not valid: ${why}`);
}

export function missing(parameter: string): CloudError {
  return new CloudError(`MissingParam.${parameter}`, `The parameter ${parameter} is required`);
}
