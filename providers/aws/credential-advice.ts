/**
 * What is wrong with a credential, and what to do about it, by the code that AWS or its SDK refuses with.
 *
 * AWS's own words are not passed on: they may quote the request that was signed.
 */

const whereTheyComeFrom =
  'give the controller a role (EKS Pod Identity, or a role for its service account), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';

const expired = `the credentials have expired; renew them (a role is renewed by itself, a copied session token is not)`;
const unknownKey = `AWS does not know the access key; ${whereTheyComeFrom}`;
const wrongSignature = 'the secret does not belong to the access key; correct the pair';
const missing = `no credentials were found; ${whereTheyComeFrom}`;

const advice: Readonly<Record<string, string>> = {
  ExpiredToken: expired,
  RequestExpired: `${expired}, and check that the clock of the machine is right`,
  InvalidClientTokenId: unknownKey,
  InvalidAccessKeyId: unknownKey,
  UnrecognizedClient: unknownKey,
  SignatureDoesNotMatch: wrongSignature,
  InvalidSignature: `${wrongSignature}, and check that the clock of the machine is right`,
  IncompleteSignature: wrongSignature,
  MissingAuthenticationToken: missing,
  CredentialsProviderError: missing,
  TokenProviderError: missing,
  OptInRequired:
    'the account is not enabled for this service or region; enable it at AWS, or correct the region',
};

/** One line without a full stop: what is wrong, and the cure. */
export function credentialAdvice(code: string): string {
  return advice[code] ?? `the credentials were not accepted; ${whereTheyComeFrom}`;
}
