/**
 * The real controller with the real AWS provider between a small cluster and a simulated account, on virtual
 * time: for edge cases told step by step.
 */
import { createAwsProvider } from '../../providers/aws/provider.ts';
import type { ElbClient } from '../../providers/aws/operations.ts';
import { Account } from '../../providers/aws/simulator/account.ts';
import { inMemoryClient } from '../../providers/aws/simulator/client.ts';
import type { SettingsInput } from '../../providers/aws/simulator/settings.ts';
import { uidTag } from '../../providers/aws/tags.ts';
import type { ControllerOptions } from '../../src/controller/context.ts';
import { Controller } from '../../src/controller/controller.ts';
import { seededRandom, type Clock } from '../../src/core/clock.ts';
import { aNode } from '../../src/core/fixtures.ts';
import { guardRules } from '../../src/core/guard.ts';
import type { Condition, ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import type { AnyProvider, ProviderName } from '../../src/core/provider.ts';
import { testCluster, testConfig } from './aws-bench.ts';
import { SmallCluster } from './small-cluster.ts';
import { VirtualClock } from './virtual-clock.ts';

export const web = 'default/web' as ObjectKey;

export const benchOptions: ControllerOptions = {
  claim: {
    providers: ['aws'],
    defaultProvider: 'aws',
    classes: { aws: ['sluice.dev/aws'], alibaba: [], local: [] },
    claimClassless: true,
  },
  guard: guardRules,
  publishEarly: false,
  driftPolicy: 'correct',
  strays: 'remove',
  fullEveryMs: 1_200_000,
  surveyEveryMs: 300_000,
};

export interface BenchOptions {
  readonly settings?: SettingsInput;
  /** Of the provider: the section of the settings file. */
  readonly config?: object;
  readonly options?: Partial<ControllerOptions>;
}

/** Changes what calls of one process do: to let it die at one, to hold one back. */
export type Intercept = (
  operation: string,
  call: () => Promise<object>,
  process: BenchProcess,
) => Promise<object>;

export class ControllerBench {
  readonly clock = new VirtualClock({ limit: 2_000_000 });
  readonly account: Account;
  readonly cluster: SmallCluster;
  readonly #options: BenchOptions;
  #names = 0;

  constructor(bench: BenchOptions = {}) {
    this.#options = bench;
    this.account = new Account({
      clock: this.clock,
      random: seededRandom(1),
      settings: bench.settings ?? {},
    });
    this.cluster = new SmallCluster(this.clock);
    this.cluster.setNodes([aNode('n1'), aNode('n2')]);
  }

  /** A process that leads. Nothing keeps two from leading at once: the lease is not in this picture. */
  start(intercept?: Intercept): BenchProcess {
    this.#names += 1;
    return new BenchProcess(this, this.#options, `p${this.#names}`, intercept);
  }

  async run(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  get(key: ObjectKey = web): ServiceObject {
    const service = this.cluster.service(key);
    if (service === undefined) throw new Error(`there is no Service ${key}`);
    return service;
  }

  condition(type: string, key: ObjectKey = web): Condition | undefined {
    return this.get(key).conditions.find((one) => one.type === type);
  }

  /** Labels of everything in the account that bears this UID. */
  owned(uid: string): readonly string[] {
    return this.account
      .resources()
      .filter(({ tags }) => tags[uidTag] === uid)
      .map(({ kind, name }) => `${kind} ${name}`);
  }

  /** Targets of all groups, each as `id:port`, with their state. */
  targets(): Readonly<Record<string, string>> {
    const all = this.account.dump().targetGroups.flatMap(
      (group) =>
        group['Targets'] as readonly {
          readonly Id: string;
          readonly Port: number;
          readonly State: string;
        }[],
    );
    return Object.fromEntries(
      all
        .map(({ Id, Port, State }): [string, string] => [`${Id}:${Port}`, State])
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  }

  /** Operations of writes after call number `seq`, in order. */
  writesSince(seq: number): readonly string[] {
    return this.account
      .writes(seq)
      .filter(({ by }) => by !== 'hand')
      .map(({ operation }) => operation);
  }

  get seq(): number {
    return this.account.calls().at(-1)?.seq ?? 0;
  }

  /** Asks, each virtual second of so many, whether something holds. */
  async watch(ms: number, check: () => void): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1_000) {
      await this.run(1_000);
      check();
    }
  }
}

export class BenchProcess {
  readonly controller: Controller;
  readonly #disconnect: () => void;
  #dead = false;

  constructor(bench: ControllerBench, given: BenchOptions, name: string, intercept: Intercept | undefined) {
    const clock = this.#mortal(bench.clock);
    const random = seededRandom(name.length + name.charCodeAt(1));
    const inner = inMemoryClient(bench.account, name);
    const client: ElbClient = {
      call: (operation, input, signal) => {
        const call = (): Promise<object> => inner.call(operation, input, signal);
        const answer = intercept === undefined ? call() : intercept(operation, call, this);
        return new Promise((resolve, reject) => {
          answer.then(
            (value) => (this.#dead ? undefined : resolve(value)),
            (error: unknown) => (this.#dead ? undefined : reject(error)),
          );
        });
      },
    };
    const provider = createAwsProvider({ client, config: testConfig(given.config), clock, random });
    this.controller = new Controller({
      clock,
      random,
      cluster: testCluster,
      view: bench.cluster,
      writer: bench.cluster.writer(),
      providers: new Map<ProviderName, AnyProvider>([['aws', provider]]),
      options: { ...benchOptions, ...given.options },
      workers: 16,
      permit: () => {},
    });
    this.#disconnect = bench.cluster.connect(this.controller);
    this.controller.start();
  }

  /** SIGKILL: no timer of it runs any more, no answer reaches it. */
  kill(): void {
    this.#dead = true;
    this.#disconnect();
  }

  get dead(): boolean {
    return this.#dead;
  }

  #mortal(clock: VirtualClock): Clock {
    return {
      now: () => clock.now(),
      wall: () => clock.wall(),
      schedule: (ms, run) =>
        clock.schedule(ms, () => {
          if (!this.#dead) run();
        }),
    };
  }
}
