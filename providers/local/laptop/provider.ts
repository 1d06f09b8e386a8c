/**
 * The provider of laptop mode: balancers that are listeners in this process. Beside the port's pure middle there are
 * only calls of the host (host.ts), one for each step.
 */
import { SluiceError } from '../../../src/core/errors.ts';
import type { Ingress, IngressPort } from '../../../src/core/objects.ts';
import type { Outputs, Parameters, Step } from '../../../src/core/plan.ts';
import type { Address, Owner, Provider, Survey, TargetsReport } from '../../../src/core/provider.ts';
import { listenerKey, targetKey } from './host.ts';
import type {
  Holder,
  Holding,
  LaptopHost,
  ListenerName,
  ListenerRules,
  ObservedListener,
  Picture,
  Target,
} from './host.ts';
import { isShared, plan } from './plan.ts';
import type { Transport } from './ports.ts';
import { parse, want } from './wanted.ts';
import type { LaptopConfig, LaptopSettings, LaptopWanted } from './wanted.ts';

export type LaptopProvider = Provider<LaptopSettings, LaptopWanted, LaptopObserved>;

/** The picture, and whose it is: steps are carried out for that owner. */
export type LaptopObserved = Picture;

const nothing: LaptopObserved = {
  holding: undefined,
  remembered: undefined,
  takenAddresses: [],
  takenPorts: [],
};

export function createLaptopProvider(host: LaptopHost, config: LaptopConfig): LaptopProvider {
  return {
    name: 'local',
    loadBalancerClass: 'sluice.dev/local',
    // The table is one file: calls one after another keep its order.
    parallel: 1,
    annotations: [],
    parse: (service) => parse(service, config),
    want: (settings, world) => want(settings, world, config),
    lane: () => undefined,
    observe: async ({ owner, signal }) => await host.read(holderOf(owner), signal),
    plan: (goal, observed, context) => owned(plan(goal, observed, context, config), context.owner),
    nothing,
    apply: async (step, parameters, signal) => await apply(host, step, parameters, signal),
    advance,
    split: () => undefined,
    addresses,
    targets,
    isGone: ({ holding }) => holding === undefined,
    survey: async (cluster, known, signal) => survey(await host.readAll(cluster.id, signal), known),
  };
}

function holderOf({ cluster, service, uid }: Owner): Holder {
  return { cluster: cluster.id, service, uid };
}

/** Steps say whose they are, so that they can be carried out on their own. */
function owned<Planned extends { readonly steps: readonly Step[] }>(planned: Planned, owner: Owner): Planned {
  const { cluster, service, uid } = holderOf(owner);
  return {
    ...planned,
    steps: planned.steps.map((step) => ({
      ...step,
      parameters: { Cluster: cluster, Service: service, Uid: uid, ...step.parameters },
    })),
  };
}

async function apply(
  host: LaptopHost,
  step: Step,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<Outputs> {
  signal.throwIfAborted();
  const given = parameters as unknown as StepParameters;
  const holder: Holder = { cluster: given.Cluster, service: given.Service, uid: given.Uid };
  const name = nameOf(given);
  switch (step.operation) {
    case 'Reserve':
      await host.reserve(holder, given.Addresses, signal);
      return {};
    case 'Listen':
      await host.listen(holder, { ...name, listenPort: given.ListenPort, rules: given.Rules }, signal);
      return {};
    case 'SetRules':
      await host.setRules(holder, name, given.Rules, signal);
      return {};
    case 'AddTargets':
      await host.addTargets(holder, name, given.Targets, signal);
      return {};
    case 'RemoveTargets':
      await host.removeTargets(holder, name, given.Targets, signal);
      return {};
    case 'Unlisten':
      await host.unlisten(holder, name, signal);
      return {};
    case 'Release':
      await host.release(holder, signal);
      return {};
    default:
      throw new SluiceError('bug', `unknown step ${step.operation}`, { code: 'UnknownStep' });
  }
}

/** What the plan put into the steps. */
interface StepParameters {
  readonly Cluster: string;
  readonly Service: Holder['service'];
  readonly Uid: Holder['uid'];
  readonly Addresses: readonly string[];
  readonly Address: string;
  readonly Protocol: Transport;
  readonly Port: number;
  readonly ListenPort: number;
  readonly Rules: ListenerRules;
  readonly Targets: readonly Target[];
}

function nameOf({ Address: address, Protocol: protocol, Port: port }: StepParameters): ListenerName {
  return { address, protocol, port };
}

function advance(observed: LaptopObserved, step: Step, parameters: Parameters): LaptopObserved {
  const given = parameters as unknown as StepParameters;
  const { holding = { addresses: [], listeners: [] }, remembered } = observed;
  const change = (listeners: readonly ObservedListener[]): LaptopObserved => ({
    ...observed,
    holding: { ...holding, listeners: listeners.toSorted(byKey) },
  });
  const name = nameOf(given);
  const key = listenerKey(name);
  const others = holding.listeners.filter((one) => listenerKey(one) !== key);
  const one = holding.listeners.find((listener) => listenerKey(listener) === key);
  const changed = (more: (listener: ObservedListener) => Partial<ObservedListener>): LaptopObserved =>
    one === undefined ? observed : change([...others, { ...one, ...more(one) }]);
  switch (step.operation) {
    case 'Reserve':
      return {
        ...observed,
        holding: { ...holding, addresses: given.Addresses },
        remembered: { addresses: given.Addresses, ports: remembered?.ports ?? {} },
      };
    case 'Listen': {
      const listened = change([
        ...others,
        { ...name, listenPort: given.ListenPort, rules: given.Rules, targets: [] },
      ]);
      if (!isShared(name.address)) return listened;
      return {
        ...listened,
        remembered: {
          addresses: remembered?.addresses ?? holding.addresses,
          ports: { ...remembered?.ports, [key]: given.ListenPort },
        },
      };
    }
    case 'SetRules':
      return changed(() => ({ rules: given.Rules }));
    case 'AddTargets':
      return changed(({ targets: before }) => ({
        targets: [
          ...before,
          ...given.Targets.map((target) => ({ target, health: 'initial' as const, reason: '' })),
        ].toSorted(byTarget),
      }));
    case 'RemoveTargets': {
      const gone = new Set(given.Targets.map(targetKey));
      return changed(({ targets: before }) => ({
        targets: before.filter(({ target }) => !gone.has(targetKey(target))),
      }));
    }
    case 'Unlisten':
      return change(others);
    case 'Release':
      return { ...observed, holding: undefined };
    default:
      return observed;
  }
}

function byKey(a: ListenerName, b: ListenerName): number {
  return listenerKey(a) < listenerKey(b) ? -1 : 1;
}

function byTarget(a: { readonly target: Target }, b: { readonly target: Target }): number {
  return targetKey(a.target) < targetKey(b.target) ? -1 : 1;
}

function addresses(wanted: LaptopWanted, { holding }: LaptopObserved): Address {
  if (holding === undefined) return { kind: 'none' };
  const open = new Map(holding.listeners.map((one) => [listenerKey(one), one]));
  if (open.size === 0)
    return {
      kind: 'failed',
      message: `none of the ports of ${holding.addresses.join(', ')} could be opened`,
    };
  return {
    kind: 'ready',
    ingress: holding.addresses.map((ip): Ingress => {
      const ports = wanted.listeners.map(({ port, protocol }): IngressPort => {
        const listener = open.get(listenerKey({ address: ip, protocol, port }));
        if (listener === undefined) return { port, protocol, error: 'sluice.dev/PortNotOpen' };
        if (listener.listenPort === port) return { port, protocol };
        return { port, protocol, error: `sluice.dev/ServedAtPort${listener.listenPort}` };
      });
      // Ports are named only where there is something to say of one.
      const told = ports.some(({ error }) => error !== undefined) ? { ports } : {};
      return { ip, ipMode: 'Proxy', ...told };
    }),
  };
}

function targets(_wanted: LaptopWanted, { holding }: LaptopObserved): TargetsReport {
  // Each address leads to the same targets: the first one speaks for all.
  const first = holding?.addresses[0];
  return {
    groups: (holding?.listeners ?? [])
      .filter(({ address }) => address === first)
      .map(({ port, protocol, targets: all }) => {
        const nodes = all.filter(({ target }) => target.kind === 'node');
        const serves = nodes.some(({ health }) => health === 'healthy');
        // The API server is the way around nodes that do not answer: beside those that do it is not counted.
        const counted = serves ? nodes : all;
        const bad = counted.filter(({ health }) => health !== 'healthy');
        const reasons = new Set(bad.toSorted(nodesFirst).map(({ reason }) => reason));
        return {
          listener: `${port}/${protocol}`,
          healthy: counted.length - bad.length,
          total: counted.length,
          reason: [...reasons].filter((reason) => reason !== '').join('; '),
          settling: bad.some(({ health }) => health === 'initial'),
        };
      }),
  };
}

function nodesFirst(a: { readonly target: Target }, b: { readonly target: Target }): number {
  return Number(a.target.kind === 'api') - Number(b.target.kind === 'api');
}

function survey(
  all: readonly (Holder & { readonly holding: Holding })[],
  known: ReadonlyMap<Holder['uid'], LaptopObserved>,
): Survey {
  const held = new Map(all.map((one) => [one.uid, one]));
  const disturbed = [...known].flatMap(([uid, observed]) =>
    sameHolding(observed.holding, held.get(uid)?.holding) ? [] : [uid],
  );
  const strays = all
    .filter(({ uid }) => !known.has(uid))
    .map(({ uid, service, holding }) => ({
      uid,
      service,
      resources: [...holding.addresses, ...holding.listeners.map(listenerKey)],
    }));
  return { disturbed, strays };
}

function sameHolding(one: Holding | undefined, other: Holding | undefined): boolean {
  return JSON.stringify(settled(one)) === JSON.stringify(settled(other));
}

/** What was just added is not news when its first check ends well. */
function settled(holding: Holding | undefined): Holding | undefined {
  if (holding === undefined) return undefined;
  return {
    ...holding,
    listeners: holding.listeners.map((listener) => ({
      ...listener,
      targets: listener.targets.map((one) =>
        one.health === 'initial' ? { ...one, health: 'healthy' } : one,
      ),
    })),
  };
}
