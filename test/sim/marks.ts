/** The marks by which everything is told apart: the same on every cloud. */
export const clusterId = '11111111-2222-4333-8444-555555555555';
export const clusterTag = 'sluice.dev/cluster';
export const uidTag = 'sluice.dev/uid';
