/**
 * The identity of a target: instance and port. One instance may be registered twice while a node port is
 * handed over, so the instance alone is not enough.
 */

export interface TargetIdentity {
  readonly instance: string;
  readonly port: number;
}

export function targetKey({ instance, port }: TargetIdentity): string {
  return `${instance}:${port}`;
}

export function splitTargetKey(key: string): TargetIdentity {
  const colon = key.lastIndexOf(':');
  return { instance: key.slice(0, colon), port: Number(key.slice(colon + 1)) };
}
