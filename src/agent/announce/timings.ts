/** Every time that announcing goes by, in milliseconds. They belong together: see the comments before changing one. */
export interface AnnounceTimings {
  /** Between two heartbeats to one peer. */
  readonly beatMs: number;
  /** A member of whom nothing has been heard for so long is gone. Three heartbeats. */
  readonly deadMs: number;
  /** A packet that repeats a counter of ours older than this proves nothing. */
  readonly echoMs: number;
  /** The kernel drops an address that has not been renewed for so long (the engine's lifetime). */
  readonly lifetimeMs: number;
  /** How often the engine renews: what may be missing of the lifetime when an agent is killed. */
  readonly renewMs: number;
  /** Without a majority, and with a chance at the Lease, what is held stays for so long. Below the lifetime. */
  readonly graceMs: number;
  /** The second choice waits this long for the first one, the third twice as long. */
  readonly patienceMs: number;
  /** A holder that is to leave waits this long for another one. */
  readonly leaveMs: number;
  /** After a start, addresses that nobody holds wait this long for other members to be heard. */
  readonly settleMs: number;
  /** An address that the kernel refused is tried again after this. */
  readonly retryMs: number;
  /** What an address that is in use no more leaves behind is forgotten after this. */
  readonly forgetMs: number;
}

export const announceTimings: AnnounceTimings = {
  beatMs: 100,
  deadMs: 300,
  echoMs: 600,
  lifetimeMs: 2_000,
  renewMs: 500,
  graceMs: 1_500,
  patienceMs: 1_000,
  leaveMs: 2_000,
  settleMs: 1_000,
  retryMs: 30_000,
  forgetMs: 600_000,
};
