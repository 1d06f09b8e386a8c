/**
 * What the Alibaba provider's tests share: a provider on a simulated account, and a pass over one Service as the
 * controller makes it (look, plan, carry out), with the calls counted.
 */
import { parseAlibabaConfig } from '../../providers/alibaba/config.ts';
import type { AlibabaConfig } from '../../providers/alibaba/config.ts';
import type { AlibabaObserved } from '../../providers/alibaba/observed.ts';
import { createAlibaba } from '../../providers/alibaba/provider.ts';
import type { Alibaba, AlibabaProvider } from '../../providers/alibaba/provider.ts';
import type { TakeOver } from '../../providers/alibaba/take-over.ts';
import type { AlibabaSettings } from '../../providers/alibaba/settings.ts';
import { Account } from '../../providers/alibaba/simulator/account.ts';
import { inMemoryClient } from '../../providers/alibaba/simulator/client.ts';
import type { SettingsInput } from '../../providers/alibaba/simulator/settings.ts';
import type { AlibabaWanted } from '../../providers/alibaba/wanted.ts';
import { seededRandom } from '../../src/core/clock.ts';
import type { SluiceError } from '../../src/core/errors.ts';
import { execute } from '../../src/core/execute.ts';
import { aNode } from '../../src/core/fixtures.ts';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../../src/core/objects.ts';
import type { HandOverMemory, Plan, Step } from '../../src/core/plan.ts';
import type { Depth, Goal, Owner, World } from '../../src/core/provider.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A ready node on an ECS instance of the test region. */
export function anEcsNode(name: string, change: Partial<Omit<NodeObject, 'name'>> = {}): NodeObject {
  return aNode(name, { providerID: `cn-hangzhou.i-${name}`, ...change });
}

export function testAlibabaConfig(change: object = {}): AlibabaConfig {
  return parseAlibabaConfig({
    region: 'cn-hangzhou',
    vpcId: 'vpc-1',
    vSwitches: ['vsw-a', 'vsw-b'],
    // Rates that never hold a test up.
    rates: { read: 100_000, members: 100_000, modify: 100_000 },
    ...change,
  }).config;
}

export interface ClusterState {
  readonly service: ServiceObject;
  readonly nodes: readonly NodeObject[];
  readonly slices: readonly EndpointSliceObject[];
}

export interface Pass {
  readonly plan: Plan;
  readonly before: AlibabaObserved;
  readonly after: AlibabaObserved;
  readonly failed: readonly { readonly step: Step; readonly error: SluiceError }[];
  /** Operations that were called, in order. */
  readonly calls: readonly string[];
  readonly writes: readonly string[];
}

const mostMs = 3_600_000;
const never = new AbortController().signal;

export class AlibabaBench {
  readonly clock = new VirtualClock();
  readonly account: Account;
  alibaba: Alibaba;
  readonly #make: () => Alibaba;
  readonly #memory = new Map<string, HandOverMemory>();
  readonly #last = new Map<string, AlibabaObserved>();

  constructor(options: { readonly settings?: SettingsInput; readonly config?: object } = {}) {
    const random = seededRandom(1);
    const { clock } = this;
    const account = new Account({
      clock,
      random,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
    this.account = account;
    this.#make = () =>
      createAlibaba({
        client: inMemoryClient(account),
        config: testAlibabaConfig(options.config),
        clock,
        random,
      });
    this.alibaba = this.#make();
  }

  get provider(): AlibabaProvider {
    return this.alibaba.provider;
  }

  /** Another process takes over: nothing is remembered. */
  restart(): void {
    this.alibaba = this.#make();
    this.#memory.clear();
    this.#last.clear();
  }

  wanted(state: ClusterState, services: readonly ServiceObject[] = [state.service]): AlibabaWanted {
    return this.provider.want(this.provider.parse(state.service).settings, worldOf(state, services)).wanted;
  }

  async ensure(state: ClusterState, depth: Depth = 'full'): Promise<Pass> {
    return await this.#pass(ownerOf(state), { kind: 'present', wanted: this.wanted(state) }, depth);
  }

  async remove(state: ClusterState, settings?: AlibabaSettings): Promise<Pass> {
    return await this.#pass(ownerOf(state), { kind: 'absent', settings }, 'removal');
  }

  /** What `sluice migrate` would call for the Service. */
  async planTakeOver(state: ClusterState): Promise<TakeOver> {
    const request = { owner: ownerOf(state), wanted: this.wanted(state), signal: never };
    return await this.drive(this.alibaba.takeOver(request));
  }

  async carryOut(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.drive(this.provider.apply(step, step.parameters, never));
  }

  async drive<Value>(promise: Promise<Value>): Promise<Value> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    await this.clock.runUntil(() => settled, this.clock.now() + mostMs);
    return await promise;
  }

  async #pass(owner: Owner, goal: Goal<AlibabaSettings, AlibabaWanted>, depth: Depth): Promise<Pass> {
    const seq = this.account.calls().at(-1)?.seq ?? 0;
    const wanted = goal.kind === 'present' ? goal.wanted : undefined;
    const before = await this.drive(
      this.provider.observe({ owner, depth, wanted, previous: this.#last.get(owner.uid), signal: never }),
    );
    const memory = this.#memory.get(owner.uid) ?? {};
    const plan = this.provider.plan(goal, before, { owner, now: this.clock.now(), memory });
    this.#memory.set(owner.uid, plan.memory);
    const { observed: after, failed } = await this.drive(
      execute({
        provider: this.provider,
        observed: before,
        steps: plan.steps,
        signal: never,
        clock: this.clock,
      }),
    );
    this.#last.set(owner.uid, after);
    const calls = this.account.calls(seq).filter(({ by }) => by !== 'hand');
    return {
      plan,
      before,
      after,
      failed,
      calls: calls.map(({ operation }) => operation),
      writes: calls.filter(({ mutating }) => mutating).map(({ operation }) => operation),
    };
  }
}

const testCluster = { name: 'test', id: 'cluster-1' } as const;

function ownerOf({ service }: ClusterState): Owner {
  return { cluster: testCluster, service: service.key, uid: service.uid };
}

function worldOf({ service, nodes, slices }: ClusterState, services: readonly ServiceObject[]): World {
  return { cluster: testCluster, service, services, nodes, slices };
}

/**
 * Two observations are compared without what the cloud decides by itself: health, zones, the group that a
 * balancer is put in, and whether a listener is still starting. Members that were not read are none.
 */
export function withoutNews(observed: AlibabaObserved): AlibabaObserved {
  const { balancer } = observed;
  if (balancer === undefined) return observed;
  return {
    ...observed,
    balancer: {
      ...balancer,
      owner: '',
      masterZone: '',
      slaveZone: '',
      resourceGroup: '',
      tags: sorted(balancer.tags),
      listeners: balancer.listeners.map((one) => ({ ...one, owner: '', settings: sorted(one.settings) })),
      groups: balancer.groups.map((group) => ({
        ...group,
        members: sorted(
          Object.fromEntries(
            Object.entries(group.members ?? {}).map(([key, member]) => [
              key,
              { ...member, health: 'unknown' as const, reason: '' },
            ]),
          ),
        ),
      })),
    },
  };
}

function sorted<Value>(record: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
