/** What credentials are, and what a place is that issues them. */
/** What signs a call. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly accessKeySecret: string;
  /** Empty for a permanent key. */
  readonly securityToken: string;
}

export interface Issued extends Credentials {
  /** Milliseconds since the epoch; undefined for credentials that do not end. */
  readonly expiresAt: number | undefined;
}

/** One place that issues credentials. */
export interface CredentialSource {
  /** For people and for the header that tells the cloud where a key came from. */
  readonly name: string;
  /** False: it will never issue anything else. */
  readonly renewable: boolean;
  /**
   * Issues credentials, with one or few calls of its own and no retries.
   *
   * Throws `SluiceError`: `denied` (without an action) when it refuses, `transient` when it could not be
   * reached. Nothing secret is in it.
   */
  issue(signal: AbortSignal): Promise<Issued>;
}
