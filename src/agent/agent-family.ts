/**
 * What one address family of a node has: the writer of its rules, and what follows the rules: tracked flows that are
 * forgotten, connections that are counted.
 */
import type { Clock, Random } from '../core/clock.ts';
import type { IpFamily } from '../core/objects.ts';
import type { Backend } from './backend.ts';
import { retire } from './conntrack/forget.ts';
import { ConntrackReconciler } from './conntrack/reconcile.ts';
import type { Served } from './conntrack/stale.ts';
import type { ConntrackTable, Tracked } from './conntrack/table.ts';
import type { ServiceCounters } from './counters/counters.ts';
import type { DecisionTracker } from './decide/tracker.ts';
import type { NodeDecision } from './decision.ts';
import type { AgentView } from './door.ts';
import type { LoadGate } from './load-gate.ts';
import { servedByTcp } from './slice-facts.ts';
import type { SyncTimings } from './sync-report.ts';
import { FamilySync, type DecisionSource } from './sync.ts';
import type { AgentTelemetry } from './telemetry.ts';

/** What the writers of all families share. */
export interface FamilyParts {
  readonly view: AgentView;
  readonly tracker: DecisionTracker;
  /** Addresses of the node's interfaces, as of now. */
  readonly addresses: () => ReadonlySet<string>;
  /** Undefined: tracked flows are left alone. */
  readonly conntrack: ConntrackTable | undefined;
  /** Cut TCP connections to endpoints that are no more. */
  readonly resetTcp: boolean;
  /** Counts connections of Services; undefined: nothing is counted. */
  readonly counters?: ((family: IpFamily, source: DecisionSource) => ServiceCounters) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly timings?: SyncTimings;
  readonly telemetry: AgentTelemetry;
}

export interface Family {
  readonly name: IpFamily;
  readonly sync: FamilySync;
  readonly conntrack: ReadonlyMap<Tracked, ConntrackReconciler>;
  readonly counters: ServiceCounters | undefined;
}

/** What a family asks of the agent that it belongs to. */
export interface FamilyHost {
  readonly node: () => NodeDecision;
  readonly soon: (run: () => void) => void;
  readonly gate: LoadGate;
}

export function makeFamily(backend: Backend, parts: FamilyParts, { node, soon, gate }: FamilyHost): Family {
  const { clock, random, timings, telemetry, tracker } = parts;
  const { family } = backend;
  const source: DecisionSource = {
    node,
    decisions: () => tracker.decisions(family),
    decision: (key) => tracker.decision(key),
  };
  const counters = parts.counters?.(family, source);
  const sync = new FamilySync({
    backend,
    source,
    clock,
    random,
    ...(timings === undefined ? {} : { timings }),
    soon,
    mayListen: (listen) => gate.loaded(listen),
    report: (event) => {
      telemetry.sync(event);
      // Services that went while nobody looked: their flows are still tracked.
      if (event.kind === 'written') for (const one of event.left) retire(conntrack, one);
      // Who flushes ours flushes what counts as well; and both are looked at at one pace.
      if (event.kind === 'foreign') counters?.rewrite();
      if (event.kind === 'verified') counters?.look();
    },
  });
  const conntrack = reconcilers(family, parts, node, sync);
  return { name: family, sync, conntrack, counters };
}

function reconcilers(
  family: IpFamily,
  parts: FamilyParts,
  node: () => NodeDecision,
  sync: FamilySync,
): ReadonlyMap<Tracked, ConntrackReconciler> {
  const { clock, random, telemetry, conntrack, resetTcp } = parts;
  if (conntrack === undefined) return new Map();
  const protocols: readonly Tracked[] = resetTcp ? ['udp', 'tcp'] : ['udp'];
  return new Map(
    protocols.map((protocol) => [
      protocol,
      new ConntrackReconciler({
        family,
        protocol,
        table: conntrack,
        served: () => served(parts, family, protocol),
        isNodePortAddress: (address) => {
          const { nodePortAddresses } = node();
          return nodePortAddresses === 'all'
            ? parts.addresses().has(address)
            : nodePortAddresses.includes(address);
        },
        whenWritten: (then) => sync.whenWritten(then),
        clock,
        random,
        report: (event) => telemetry.conntrack(event),
      }),
    ]),
  );
}

function served(
  { tracker, view }: Pick<FamilyParts, 'tracker' | 'view'>,
  family: IpFamily,
  protocol: Tracked,
): readonly Served[] {
  if (protocol === 'tcp') {
    const decisions = [...tracker.decisions(family)].filter((decision) => decision.protocol === 'TCP');
    return decisions.map((decision) => servedByTcp(decision, view.slices(decision.service)));
  }
  const facts = [...tracker.udpFacts()].filter((fact) => fact.family === family);
  return facts.map((fact) => ({ ...fact, answering: new Set(fact.serving), untranslated: true }));
}
