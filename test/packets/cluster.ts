/**
 * A real API server for the nodes of beds, and worlds in it: Services and slices that come and go as a whole.
 *
 * The API server stays in the machine's own network namespace; nodes reach it at the same loopback address
 * (`Bed.reach`).
 */
import { connect, type Connection } from '../../src/kube/connection.ts';
import { startControlPlane, type ControlPlane } from '../../src/sandbox/control-plane.ts';
import { create, pathOf, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';
import { bedNode } from '../../src/sandbox/bed/node-object.ts';

/** What cluster IPs are given from. */
export const serviceRange = { IPv4: '10.96.0.0/16', IPv6: 'fd00:10:96::/112' } as const;

export class PacketCluster implements AsyncDisposable {
  readonly controlPlane: ControlPlane;
  readonly api: Connection;
  #world: readonly Manifest[] = [];

  private constructor(controlPlane: ControlPlane, api: Connection) {
    this.controlPlane = controlPlane;
    this.api = api;
  }

  /** @param apiServer with `audit` it writes down every request. */
  static async start(apiServer: { readonly audit?: boolean } = {}): Promise<PacketCluster> {
    const controlPlane = await startControlPlane({
      apiServer,
      serviceCidr: `${serviceRange.IPv4},${serviceRange.IPv6}`,
    });
    return new PacketCluster(controlPlane, await connect({ path: controlPlane.kubeconfig }));
  }

  get kubeconfig(): string {
    return this.controlPlane.kubeconfig;
  }

  /** Makes the API server reachable in the nodes of a bed, and registers them. */
  async join(bed: Bed): Promise<void> {
    await bed.reach(
      this.controlPlane.url,
      bed.topology.nodes.map(({ name }) => name),
    );
    for (const node of bed.topology.nodes.map(bedNode)) {
      if ((await read(this.api, node)) === undefined) await create(this.api, node);
    }
  }

  /** Makes these the only Services and slices that this cluster was given, in their order; statuses too. */
  async become(world: readonly Manifest[]): Promise<void> {
    const wanted = new Set(world.map(pathOf));
    for (const object of this.#world) if (!wanted.has(pathOf(object))) await remove(this.api, object);
    const before = new Map(this.#world.map((object) => [pathOf(object), JSON.stringify(object)]));
    // What is left half done is removed the next time all the same.
    this.#world = [...new Map([...this.#world, ...world].map((object) => [pathOf(object), object])).values()];
    for (const object of world) {
      const known = before.get(pathOf(object));
      if (known === JSON.stringify(object)) continue;
      if (known === undefined) await create(this.api, object);
      // Lists as a whole: server-side apply would keep the entries of who made the object.
      else await this.patch(pathOf(object), object);
      await this.#status(object);
    }
    this.#world = world;
  }

  async stop(): Promise<void> {
    await this.api.close();
    await this.controlPlane.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #status(object: Manifest): Promise<void> {
    if (object.kind !== 'Service' || object['status'] === undefined) return;
    await this.patch(`${pathOf(object)}/status`, { status: object['status'] });
  }

  /** Merges `body` into what stands at `path`. */
  async patch(path: string, body: object): Promise<void> {
    await this.api.request('PATCH', path, { contentType: 'application/merge-patch+json', body });
  }
}
