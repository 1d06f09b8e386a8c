/**
 * What is wrong with a credential, and what to do about it, by the code that it was refused with.
 *
 * The cloud's own words are not passed on: they quote the text that was signed.
 */

const whereTheyComeFrom = 'check providers.alibaba.credentials of the settings';

const unknownKey = `Alibaba Cloud does not know the access key, or it is switched off; ${whereTheyComeFrom}`;
const expired =
  'the temporary credentials are at their end or were withdrawn; a role is renewed by itself, a copied security token is not';

const advice: readonly (readonly [beginning: string, words: string])[] = [
  ['InvalidSecurityToken', expired],
  [
    'MissingSecurityToken',
    `the access key is a temporary one and needs its security token; ${whereTheyComeFrom}`,
  ],
  ['InvalidAccessKeyId', unknownKey],
  ['SignatureDoesNotMatch', 'the secret does not belong to the access key; correct the pair'],
  ['IncompleteSignature', `the signature was not accepted; ${whereTheyComeFrom}`],
  ['InvalidTimeStamp', 'the clock of this machine is wrong; set it right'],
  [
    'NodeRoleMissing',
    'the node has no RAM role; attach one to the ECS instance, or choose another source in providers.alibaba.credentials',
  ],
  [
    'OidcTokenUnreadable',
    'the file with the service account token cannot be read; mount it (RRSA), or choose another source in providers.alibaba.credentials',
  ],
  [
    'AuthenticationFail.OIDCToken',
    'the service account token was not accepted; check issuer, audience and expiry of the OIDC provider',
  ],
  ['EntityNotExist.Role', 'the role does not exist; check roleArn in providers.alibaba.credentials'],
  [
    'EntityNotExist.OIDCProvider',
    'the OIDC provider does not exist; check oidcProviderArn in providers.alibaba.credentials',
  ],
  ['NoPermission', 'the role may not be taken by this service account; check the trust policy of the role'],
];

/** One line without a full stop: what is wrong, and the cure. */
export function credentialAdvice(code: string): string {
  const found = advice.find(([beginning]) => code.startsWith(beginning));
  return found?.[1] ?? `the credentials were not accepted; ${whereTheyComeFrom}`;
}
