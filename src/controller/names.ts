/** Names of ours on Kubernetes objects (architecture, "Names of ours"). */
export const names = {
  finalizer: 'sluice.dev/balancer',
  /** Which provider holds resources for the Service: written with the finalizer, read when it is released. */
  servedBy: 'sluice.dev/served-by',
} as const;
