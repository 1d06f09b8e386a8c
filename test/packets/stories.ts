/**
 * What Services mean where one look is not enough: connections that outlive a change, clients that are remembered,
 * errors on the way, rules of others. Told as in cases.ts, one family at a time; here is what the stories are told with.
 *
 * A story returns what was wrong, a sentence each.
 */
import type { IpFamily } from '../../src/core/objects.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import type { Reference, Settings } from './cases/row.ts';
import type { Atlas, World } from './world.ts';

export interface Scene {
  readonly bed: Bed;
  readonly atlas: Atlas;
  readonly family: IpFamily;
  /** The next world of the story; resolves once it is in force. */
  readonly become: (world: World) => Promise<void>;
  /** The variant of iptables that writes the rules; undefined where nft does. */
  readonly iptables: 'nft' | 'legacy' | undefined;
}

export interface Story {
  readonly rule: string;
  readonly says: string;
  readonly settings?: Settings;
  readonly families?: readonly IpFamily[];
  /** It takes somebody who cleans the connection tracking table after the rules have changed. */
  readonly tracked?: true;
  readonly world: World;
  readonly run: (scene: Scene) => Promise<readonly string[]>;
  /** Where a reference fails the story, and why that is known. */
  readonly fails?: Readonly<Partial<Record<Reference, string>>>;
  /** It is about the reference only, or not about it. */
  readonly only?: readonly Reference[];
  /** kube-proxy has no such thing. */
  readonly ours?: true;
}

/** One of UDP, for Services of names. */
export const udp = [{ name: 'dns', port: 53, protocol: 'UDP' as const }];
/** An endpoint on each node. */
export const three = ['n1-a', 'n2-a', 'n3-a'].map((at) => ({ at }));

/** All of the three but one. */
export function without(gone: string): { readonly at: string }[] {
  return three.filter(({ at }) => at !== gone);
}

export function clusterIP({ atlas, family }: Scene, name: string, port = 80): Destination {
  return { address: atlas.address(name, 'V', family), port };
}

export function nodePort({ atlas, family }: Scene, name: string): Destination {
  return { address: atlas.place('n1', family), port: atlas.nodePort(name) };
}
