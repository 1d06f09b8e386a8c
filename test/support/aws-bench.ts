/**
 * What the provider's tests share: a provider on a simulated account, and a pass over one Service as the
 * controller makes it (look, plan, carry out), with the calls counted.
 */
import { seededRandom } from '../../src/core/clock.ts';
import { execute } from '../../src/core/execute.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import { aNode, aService } from '../../src/core/fixtures.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../../src/core/objects.ts';
import type { HandOverMemory, Plan, Step } from '../../src/core/plan.ts';
import type { Depth, Goal, Owner, World } from '../../src/core/provider.ts';
import { parseAwsConfig } from '../../providers/aws/config.ts';
import type { AwsConfig } from '../../providers/aws/config.ts';
import type { AwsObserved } from '../../providers/aws/observed.ts';
import { createAwsProvider } from '../../providers/aws/provider.ts';
import type { AwsProvider } from '../../providers/aws/provider.ts';
import type { AwsSettings } from '../../providers/aws/settings.ts';
import { Account } from '../../providers/aws/simulator/account.ts';
import { inMemoryClient } from '../../providers/aws/simulator/client.ts';
import type { SettingsInput } from '../../providers/aws/simulator/settings.ts';
import { VirtualClock } from './virtual-clock.ts';
import { ownerOf } from '../../providers/aws/wanted.ts';
import type { AwsWanted } from '../../providers/aws/wanted.ts';

export const testCluster = { name: 'test', id: 'cluster-1' } as const;

/** Rates that never hold a test up. */
export const unlimited = { read: 100_000, register: 100_000, modify: 100_000 } as const;

export function testConfig(change: object = {}): AwsConfig {
  return parseAwsConfig({
    region: 'eu-west-1',
    subnets: { 'internet-facing': ['subnet-a', 'subnet-b'], internal: ['subnet-c', 'subnet-d'] },
    rates: unlimited,
    ...change,
  }).config;
}

export interface ClusterState {
  readonly service: ServiceObject;
  readonly nodes: readonly NodeObject[];
  readonly slices: readonly EndpointSliceObject[];
}

export function cluster(change: Partial<ClusterState> = {}): ClusterState {
  return { service: aService(), nodes: [aNode('n1'), aNode('n2')], slices: [], ...change };
}

export function worldOf(
  { service, nodes, slices }: ClusterState,
  services: readonly ServiceObject[] = [service],
): World {
  return { cluster: testCluster, service, services, nodes, slices };
}

/** Virtual milliseconds that one thing may take. */
const mostMs = 3_600_000;

/** Lets virtual time pass until the promise has settled. */
export async function drive<Value>(clock: VirtualClock, promise: Promise<Value>): Promise<Value> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  // Whoever awaits the promise below hears of its failure; this branch only watches.
  watched.catch(() => undefined);
  await clock.runUntil(() => settled, clock.now() + mostMs);
  return await promise;
}

export interface Pass {
  readonly plan: Plan;
  readonly before: AwsObserved;
  /** Folded forward by `advance`. */
  readonly after: AwsObserved;
  readonly failed: readonly { readonly step: Step; readonly error: SluiceError }[];
  readonly skipped: readonly Step[];
  /** Operations that were called, in order. */
  readonly calls: readonly string[];
}

export interface PassOptions {
  readonly depth?: Depth;
  readonly services?: readonly ServiceObject[];
}

export class Bench {
  readonly clock = new VirtualClock();
  readonly account: Account;
  readonly provider: AwsProvider;
  readonly signal = new AbortController().signal;
  readonly #memory = new Map<string, HandOverMemory>();
  readonly #last = new Map<string, AwsObserved>();

  constructor(options: { readonly settings?: SettingsInput; readonly config?: object } = {}) {
    const random = seededRandom(1);
    this.account = new Account({
      clock: this.clock,
      random,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
    this.provider = createAwsProvider({
      client: inMemoryClient(this.account),
      config: testConfig(options.config),
      clock: this.clock,
      random,
    });
  }

  wanted(state: ClusterState, services?: readonly ServiceObject[]): AwsWanted {
    const { settings } = this.provider.parse(state.service);
    return this.provider.want(settings, worldOf(state, services)).wanted;
  }

  /** Looks, plans and carries out, as the controller does for a Service that should be there. */
  async ensure(state: ClusterState, { depth = 'full', services }: PassOptions = {}): Promise<Pass> {
    const wanted = this.wanted(state, services);
    return await this.#pass(ownerOf(worldOf(state)), { kind: 'present', wanted }, depth);
  }

  /** The same for a Service that should be no more. */
  async remove(state: ClusterState, settings?: AwsSettings): Promise<Pass> {
    return await this.#pass(ownerOf(worldOf(state)), { kind: 'absent', settings }, 'removal');
  }

  /** A fresh look that leaves no trace. */
  async look(state: ClusterState, depth: Depth = 'full', previous?: AwsObserved): Promise<AwsObserved> {
    return await this.drive(
      this.provider.observe({
        owner: ownerOf(worldOf(state)),
        depth,
        wanted: depth === 'removal' ? undefined : this.wanted(state),
        previous,
        signal: this.signal,
      }),
    );
  }

  /** Number of the last call: what came after it is asked for by it. */
  get seq(): number {
    return this.account.calls().at(-1)?.seq ?? 0;
  }

  /** Operations that were called after call number `seq`, in order. */
  callsSince(seq: number): readonly string[] {
    return this.account.calls(seq).map(({ operation }) => operation);
  }

  /** Lets virtual time pass until the promise has settled. */
  async drive<Value>(promise: Promise<Value>): Promise<Value> {
    return await drive(this.clock, promise);
  }

  /** What was remembered of earlier passes is lost, as after a crash. */
  forget(): void {
    this.#memory.clear();
    this.#last.clear();
  }

  async #pass(owner: Owner, goal: Goal<AwsSettings, AwsWanted>, depth: Depth): Promise<Pass> {
    const { seq } = this;
    const before = await this.drive(
      this.provider.observe({
        owner,
        depth,
        wanted: goal.kind === 'present' ? goal.wanted : undefined,
        previous: this.#last.get(owner.uid),
        signal: this.signal,
      }),
    );
    const plan = this.provider.plan(goal, before, {
      owner,
      now: this.clock.now(),
      memory: this.#memory.get(owner.uid) ?? {},
    });
    this.#memory.set(owner.uid, plan.memory);
    const {
      observed: after,
      failed,
      skipped,
    } = await this.drive(
      execute({
        provider: this.provider,
        observed: before,
        steps: plan.steps,
        signal: this.signal,
        clock: this.clock,
      }),
    );
    this.#last.set(owner.uid, after);
    return { plan, before, after, failed, skipped, calls: this.callsSince(seq) };
  }
}

/**
 * Two observations are compared without health, which is AWS's to decide, and without telling "not read" from
 * "all attributes as by default": a resource that nobody asked attributes for is not asked about them.
 */
export function withoutHealth(observed: AwsObserved): AwsObserved {
  return {
    ...observed,
    balancer:
      observed.balancer === undefined
        ? undefined
        : { ...observed.balancer, attributes: observed.balancer.attributes ?? {}, provisioningMs: 0 },
    groups: observed.groups.map((group) => ({
      ...group,
      attributes: group.attributes ?? {},
      targets:
        group.targets === undefined
          ? undefined
          : Object.fromEntries(
              Object.entries(group.targets)
                .filter(([, { health }]) => health !== 'draining')
                .toSorted(([a], [b]) => (a < b ? -1 : 1))
                .map(([key]) => [key, { health: 'unknown' as const, reason: '' }]),
            ),
    })),
  };
}
