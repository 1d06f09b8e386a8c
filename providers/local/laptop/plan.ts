/**
 * From what the laptop holds to what a Service wants: an ordered list of calls on the host. Pure.
 *
 * Invariants: an address that the Service has is kept; one that others have, or are remembered for, is passed over;
 * a listener that stands is changed in place (rules, targets) and never reopened; what goes, goes last.
 */
import { handOver, type HandOverRules, type UnwantedCause } from '../../../src/core/hand-over.ts';
import type { HandOverMemory, Json, Plan, Step, Wait } from '../../../src/core/plan.ts';
import type { Problem } from '../../../src/core/problems.ts';
import type { Goal, Owner, PlanContext } from '../../../src/core/provider.ts';
import { listenerKey, targetKey } from './host.ts';
import type { ListenerName, ObservedListener, Picture, Target } from './host.ts';
import { ownPorts, sharedPorts } from './ports.ts';
import { addressSequence } from './space.ts';
import type { LaptopConfig, LaptopSettings, LaptopWanted, WantedListener } from './wanted.ts';

/** A target taken away keeps its connections, so nothing is won by waiting once another one is healthy. */
const rules: HandOverRules = {
  endpointGraceMs: 0,
  patienceMs: 300_000,
  recheckMs: 250,
  slowRecheckMs: 30_000,
};

/** An address that all Services share: only ports tell them apart. */
export function isShared(address: string): boolean {
  return address === '127.0.0.1' || address === '::1';
}

export function plan(
  goal: Goal<LaptopSettings, LaptopWanted>,
  picture: Picture,
  context: PlanContext,
  config: LaptopConfig,
): Plan {
  return goal.kind === 'absent' ? planAbsent(picture) : planPresent(goal.wanted, picture, context, config);
}

function planAbsent({ holding }: Picture): Plan {
  const steps: Step[] = [];
  for (const listener of holding?.listeners ?? []) steps.push(unlisten(listener, 'the Service goes'));
  if (holding !== undefined) {
    steps.push({
      ...bare('Release', 'release', holding.addresses.join(', ') || 'the Service', 'the Service goes'),
      risk: 'destructive',
      needs: steps.map(({ id }) => id),
    });
  }
  return { steps, waits: [], problems: [], memory: {} };
}

function planPresent(
  wanted: LaptopWanted,
  picture: Picture,
  context: PlanContext,
  config: LaptopConfig,
): Plan {
  const steps: Step[] = [];
  const waits: Wait[] = [];
  const problems: Problem[] = [];
  let memory: HandOverMemory = {};
  const addresses = addressesFor(wanted, picture, context.owner, config);
  if (addresses === undefined) return { steps, waits, problems: [noRoom(config)], memory };

  const held = picture.holding?.addresses ?? [];
  const reserved = held.length === addresses.length && addresses.every((address) => held.includes(address));
  if (!reserved && wanted.listeners.length > 0) {
    steps.push({
      ...bare('Reserve', 'reserve', addresses.join(', '), 'the Service needs an address'),
      parameters: { Addresses: addresses },
    });
  }
  const before = new Map((picture.holding?.listeners ?? []).map((one) => [listenerKey(one), one]));
  const gone = new Set(before.keys());
  for (const address of addresses) {
    const ports = listenPorts(address, wanted, picture, context.owner, config);
    for (const listener of wanted.listeners) {
      const name = { address, protocol: listener.protocol, port: listener.port };
      const key = listenerKey(name);
      gone.delete(key);
      const listenPort = ports.get(key);
      if (listenPort === undefined) {
        problems.push(noPort(name));
        continue;
      }
      const moved = listenPort === listener.port ? undefined : movedPort(name, listenPort, config);
      if (moved !== undefined) problems.push(moved);
      const result = planListener(name, listenPort, listener, before.get(key), context, !reserved);
      steps.push(...result.steps);
      waits.push(...result.waits);
      memory = { ...memory, ...result.memory };
    }
  }
  for (const key of [...gone].toSorted()) {
    const listener = before.get(key);
    if (listener !== undefined) steps.push(unlisten(listener, 'the Service has no such port any more'));
  }
  return { steps, waits, problems, memory };
}

/** Undefined: the space has no room. */
function addressesFor(
  wanted: LaptopWanted,
  picture: Picture,
  owner: Owner,
  config: LaptopConfig,
): readonly string[] | undefined {
  const more = wanted.ipv6 ? ['::1'] : [];
  if (!config.ownAddresses) return ['127.0.0.1', ...more];
  const taken = new Set(picture.takenAddresses);
  const first = [
    ...(wanted.asked === undefined ? [] : [wanted.asked]),
    ...own(picture.holding?.addresses),
    ...wanted.shown,
    ...own(picture.remembered?.addresses),
  ].find((address) => !taken.has(address));
  const sequence = addressSequence(config.space, owner.cluster.id, owner.service);
  const chosen = first ?? sequence.find((address) => !taken.has(address));
  return chosen === undefined ? undefined : [chosen, ...more];
}

function own(addresses: readonly string[] | undefined): readonly string[] {
  return (addresses ?? []).filter((address) => !isShared(address));
}

/** `listenerKey` → port. */
function listenPorts(
  address: string,
  { listeners }: LaptopWanted,
  { holding, remembered, takenPorts }: Picture,
  owner: Owner,
  { unprivilegedFrom }: LaptopConfig,
): ReadonlyMap<string, number> {
  const chosen = new Map<string, number>();
  const names = listeners.map(({ port, protocol }) => ({ address, protocol, port }));
  if (!isShared(address)) {
    const ports = ownPorts(listeners, unprivilegedFrom);
    for (const name of names)
      chosen.set(listenerKey(name), ports.get(`${name.port}/${name.protocol}`) ?? name.port);
    return chosen;
  }
  const taken = new Set(takenPorts);
  const take = (name: ListenerName, ports: readonly (number | undefined)[]): void => {
    const key = listenerKey(name);
    const port = ports.find((one) => one !== undefined && !taken.has(`${address} ${one}/${name.protocol}`));
    if (port === undefined || chosen.has(key)) return;
    chosen.set(key, port);
    taken.add(`${address} ${port}/${name.protocol}`);
  };
  // What stands goes before what was, and that before what is new: no port moves because another one came.
  for (const name of names) {
    const stands = holding?.listeners.find((one) => listenerKey(one) === listenerKey(name));
    take(name, [stands?.listenPort]);
  }
  for (const name of names) take(name, [remembered?.ports[listenerKey(name)]]);
  for (const name of names)
    take(name, sharedPorts(name, unprivilegedFrom, [owner.cluster.id, owner.service]));
  return chosen;
}

function planListener(
  name: ListenerName,
  listenPort: number,
  wanted: WantedListener,
  observed: ObservedListener | undefined,
  { now, memory }: PlanContext,
  reserving: boolean,
): { readonly steps: readonly Step[]; readonly waits: readonly Wait[]; readonly memory: HandOverMemory } {
  const key = listenerKey(name);
  const text = isShared(name.address) ? key : `${name.port}/${name.protocol}`;
  const id = `${name.address.replaceAll(/[.:]/gu, '-')}-${name.port}-${name.protocol}`;
  const steps: Step[] = [];
  const at = { Address: name.address, Protocol: name.protocol, Port: name.port };
  // A listener that must move (a port below the bound is allowed now) is closed and opened on its new port.
  const moves = observed !== undefined && observed.listenPort !== listenPort;
  const stands = moves ? undefined : observed;
  if (moves) steps.push(unlisten(observed, `it moves to port ${listenPort}`));
  const needs = stands === undefined ? [`listen-${id}`] : [];
  if (stands === undefined) {
    steps.push({
      ...bare('Listen', `listen-${id}`, `${name.address}:${listenPort}/${name.protocol}`, 'a new port'),
      parameters: { ...at, ListenPort: listenPort, Rules: asJson(wanted.rules) },
      needs: [...(reserving ? ['reserve'] : []), ...steps.map((step) => step.id)],
    });
  } else if (!same(stands.rules, wanted.rules)) {
    steps.push({
      ...bare('SetRules', `rules-${id}`, key, 'source ranges or session affinity changed'),
      parameters: { ...at, Rules: asJson(wanted.rules) },
    });
  }
  const byKey = new Map(wanted.targets.map((target) => [targetKey(target), target]));
  const registered = stands?.targets ?? [];
  const result = handOver({
    group: text,
    wanted: [...byKey.keys()].map((one) => ({ key: one })),
    registered: registered.map(({ target, health }) => ({
      key: targetKey(target),
      health,
      cause: causeOf(target, wanted.targets),
    })),
    now,
    memory,
    rules,
  });
  const added = result.add.flatMap((one) => byKey.get(one) ?? []);
  if (added.length > 0) {
    steps.push({
      ...bare('AddTargets', `add-${id}`, key, reasonOf(added, 'joined')),
      parameters: { ...at, Targets: asJson(added) },
      effect: { kind: 'addTargets', group: text, count: added.length },
      needs,
    });
  }
  const removed = registered.filter(({ target }) => result.remove.includes(targetKey(target)));
  if (removed.length > 0) {
    const targets = removed.map(({ target }) => target);
    steps.push({
      ...bare('RemoveTargets', `remove-${id}`, key, reasonOf(targets, 'left')),
      parameters: { ...at, Targets: asJson(targets) },
      risk: 'disruptive',
      effect: {
        kind: 'removeTargets',
        group: text,
        healthyRemoved: result.healthyRemoved.length,
        healthyBefore: result.healthyBefore,
      },
    });
  }
  return { steps, waits: result.waits, memory: result.memory };
}

function causeOf(target: Target, wanted: readonly Target[]): UnwantedCause {
  if (target.kind === 'api') return 'other';
  return wanted.some((one) => one.kind === 'node' && one.node === target.node) ? 'port' : 'gone';
}

function reasonOf(targets: readonly Target[], what: string): string {
  const nodes = targets.flatMap((target) => (target.kind === 'node' ? [target.node] : []));
  if (nodes.length === 0) return 'by way of the API server';
  if (nodes.length > 3) return `${nodes.length} nodes ${what}`;
  return `node${nodes.length === 1 ? '' : 's'} ${nodes.join(', ')} ${what}`;
}

function unlisten({ address, protocol, port }: ListenerName, reason: string): Step {
  const id = `unlisten-${address.replaceAll(/[.:]/gu, '-')}-${port}-${protocol}`;
  return {
    ...bare('Unlisten', id, listenerKey({ address, protocol, port }), reason),
    parameters: { Address: address, Protocol: protocol, Port: port },
    risk: 'disruptive',
  };
}

function bare(operation: string, id: string, subject: string, reason: string): Step {
  return {
    id,
    operation,
    parameters: {},
    subject,
    reason,
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
  };
}

function asJson(value: object): Json {
  return value as Json;
}

function same(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function noRoom({ space }: LaptopConfig): Problem {
  return {
    severity: 'error',
    reason: 'NoAddress',
    field: 'spec.type',
    message: `no address of ${space.text} is free for this Service`,
    cure: 'use a wider range (--pool); addresses of Services that have been gone for 90 days become free by themselves',
  };
}

function noPort({ address, port, protocol }: ListenerName): Problem {
  return {
    severity: 'error',
    reason: 'PortTaken',
    field: 'spec.ports',
    message: `no port of ${address} is free for ${port}/${protocol}`,
    cure: 'delete Services that are not needed',
  };
}

function movedPort(
  { address, port, protocol }: ListenerName,
  listenPort: number,
  { unprivilegedFrom }: LaptopConfig,
): Problem {
  const low = port < unprivilegedFrom;
  return {
    severity: 'warning',
    reason: 'PortMoved',
    field: 'spec.ports',
    message: `port ${port}/${protocol} is served at ${address.includes(':') ? `[${address}]` : address}:${listenPort}, since ${
      low
        ? `this user may not listen below ${unprivilegedFrom}`
        : `another Service has port ${port} of the shared address`
    }`,
    cure: low ? 'run `sluice local setup` once for the real port' : 'use the port that is named',
  };
}
