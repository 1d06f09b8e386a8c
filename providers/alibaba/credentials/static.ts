/** Keys that were written down: a permanent pair, or a triple with a security token, which ends without notice. */
import type { CredentialSource } from './source.ts';

export interface AccessKeys {
  readonly kind: 'access-key';
  readonly accessKeyId: string;
  readonly accessKeySecret: string;
  /** Given: the three are temporary. */
  readonly securityToken?: string | undefined;
}

export function accessKeySource(keys: AccessKeys): CredentialSource {
  const issued = {
    accessKeyId: keys.accessKeyId,
    accessKeySecret: keys.accessKeySecret,
    securityToken: keys.securityToken ?? '',
    expiresAt: undefined,
  };
  return {
    name: issued.securityToken === '' ? 'static_ak' : 'static_sts',
    renewable: false,
    issue: () => Promise.resolve(issued),
  };
}
