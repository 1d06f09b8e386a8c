/**
 * What Services mean, as packets: worlds in terms of the bed, and for each what becomes of packets of the first
 * node's neighbourhood. Only n1 is programmed; every client has it as its default route.
 *
 * What takes time or several worlds stands in stories.ts.
 */
import { addressCases } from './cases/addresses.ts';
import { clusterIPCases } from './cases/cluster-ips.ts';
import { endpointCases } from './cases/endpoints.ts';
import { nodePortCases } from './cases/node-ports.ts';
import { policyCases } from './cases/policies.ts';
import type { Case } from './cases/row.ts';

export const cases: readonly Case[] = [
  ...clusterIPCases,
  ...nodePortCases,
  ...addressCases,
  ...policyCases,
  ...endpointCases,
];
