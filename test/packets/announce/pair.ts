/** Two nodes on a LAN of namespaces with announcers of the kernel engine in them, for tests that start and stop many. */
import type { KernelAnnouncer } from '../../../src/agent/announce/kernel/engine.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { announcerOf, Bed, macOf, newHeard, port, serveServices, type Heard } from './lan.ts';

export interface PairOptions {
  /** Process ids of the announcer's children, as they are started. */
  readonly onChild?: (pid: number) => void;
  readonly clock?: Clock;
}

export type HeardAnnouncer = KernelAnnouncer & { readonly heard: Heard };

export class Pair {
  readonly bed: Bed;
  /** By place. */
  readonly macs: Readonly<Record<string, string>>;
  readonly #running: KernelAnnouncer[] = [];

  private constructor(bed: Bed, macs: Readonly<Record<string, string>>) {
    this.bed = bed;
    this.macs = macs;
  }

  static async make(): Promise<Pair> {
    const bed = await Bed.make({ nodes: 2, podsPerNode: 1, clients: 2 });
    await serveServices(bed);
    const macs: Record<string, string> = {};
    for (const place of ['n1', 'n2', 'x1', 'x2']) macs[place] = await macOf(bed, place);
    return new Pair(bed, macs);
  }

  async announcer(node: string, { onChild, clock }: PairOptions = {}): Promise<HeardAnnouncer> {
    const heard = newHeard();
    const made = announcerOf(this.bed, node, onChild, clock);
    await made.start(heard.events);
    this.#running.push(made);
    return Object.assign(made, { heard });
  }

  /** Ends every announcer and mends every link, after a test; takes away the second interface that it may have made. */
  async rest(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((each) => each.stop('release')));
    await this.bed.run('net', 'ip', ['link', 'del', 'p-n1-b']);
    for (const place of ['n1', 'n2']) await port(this.bed, place, 'up');
  }

  async remove(): Promise<void> {
    await this.bed.remove();
  }
}
