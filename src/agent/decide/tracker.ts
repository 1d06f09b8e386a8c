/**
 * The decisions of a node, kept up to date: takes changes of objects, gives changes of decisions.
 *
 * Taking a change only marks its Service; the work is done when somebody asks, once per Service however many changes
 * came in between, so its cost follows what changed. A change of the node re-decides everything only if decisions can
 * depend on it (zone, primary addresses); heartbeats cost nothing.
 *
 * Invariants: nothing is given before both lists are complete (O15); what has been given equals `decideWorld` of the
 * objects taken, whatever the history; a decision that stays equal stays the same object, and so do endpoint lists that
 * stay equal inside one that changes.
 */
import type {
  EndpointSliceObject,
  IpFamily,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../../core/objects.ts';
import type { Decision, DecisionChange, DecisionKey, NodeDecision } from '../decision.ts';
import { sameDecision } from './changes.ts';
import { ClaimTable } from './claim-table.ts';
import { conflict, sameClaims, withoutLost } from './claims.ts';
import type { Conflict } from './claims.ts';
import { sameEndpoints } from './endpoints.ts';
import { localReady, sameUdpFact, udpFact } from './facts.ts';
import type { HealthCheck, UdpFact } from './facts.ts';
import { awaited, decideNode } from './node.ts';
import { decideFrame, frameOf } from './service.ts';
import type { Frame } from './service.ts';
import type { AgentSettings } from './settings.ts';
import { Turns } from './turns.ts';
import type { Turned } from './turns.ts';
import { sameView, viewNode } from './view.ts';
import type { NodeView } from './view.ts';
import { compareConflicts } from './world.ts';

interface Entry {
  /** As the Service asks. Undefined while it is being removed. */
  raw: Decision | undefined;
  /** As it is served: without the destinations that others have. */
  served: Decision | undefined;
  readonly owner: Held;
}

/** A Service with its slices, either of which may come first. */
interface Held {
  service: ServiceObject | undefined;
  slices: readonly EndpointSliceObject[];
  /** Undefined: to be made anew, or the Service is not ours. */
  frame: Frame | undefined;
  entries: readonly Entry[];
  /** The Service's age when its claims were entered. */
  createdAt: number;
}

const noEntries: readonly Entry[] = Object.freeze([]);
const noSlices: readonly EndpointSliceObject[] = Object.freeze([]);

export class DecisionTracker {
  readonly #settings: AgentSettings;
  readonly #held = new Map<ObjectKey, Held>();
  /** Slice → its Service, to find it again when the label changed. */
  readonly #serviceOf = new Map<ObjectKey, ObjectKey>();
  readonly #entries = new Map<DecisionKey, Entry>();
  readonly #claims = new ClaimTable();
  readonly #dirty = new Set<ObjectKey>();
  readonly #listed = new Set<'services' | 'slices'>();
  /** What was last given of each decision that may have changed since. */
  readonly #before = new Map<DecisionKey, Decision | undefined>();
  readonly #health = new Turns<string, HealthCheck>((a, b) => a.port === b.port && a.ready === b.ready);
  readonly #udp = new Turns<DecisionKey, UdpFact>(sameUdpFact);
  #node: NodeObject | undefined;
  #addresses: readonly string[] = [];
  #view: NodeView;
  #nodeDecisions: readonly NodeDecision[];

  constructor(settings: AgentSettings) {
    this.#settings = settings;
    this.#view = viewNode(undefined, settings);
    this.#nodeDecisions = decideNode(undefined, [], settings);
  }

  // ── what is taken ──

  setService(service: ServiceObject): void {
    const held = this.#hold(service.key);
    if (held.service === service) return;
    held.service = service;
    held.frame = undefined;
    this.#dirty.add(service.key);
  }

  deleteService(key: ObjectKey): void {
    const held = this.#held.get(key);
    if (held?.service === undefined) return;
    held.service = undefined;
    held.frame = undefined;
    this.#dirty.add(key);
  }

  setSlice(slice: EndpointSliceObject): void {
    const old = this.#serviceOf.get(slice.key);
    if (old !== undefined && old !== slice.service) this.deleteSlice(slice.key);
    if (slice.service === undefined) return;
    this.#serviceOf.set(slice.key, slice.service);
    const held = this.#hold(slice.service);
    if (held.slices.includes(slice)) return;
    held.slices = [...held.slices.filter(({ key }) => key !== slice.key), slice];
    this.#dirty.add(slice.service);
  }

  deleteSlice(key: ObjectKey): void {
    const service = this.#serviceOf.get(key);
    if (service === undefined) return;
    this.#serviceOf.delete(key);
    const held = this.#hold(service);
    held.slices = held.slices.filter((slice) => slice.key !== key);
    if (held.slices.length === 0) held.slices = noSlices;
    this.#dirty.add(service);
  }

  /** The own Node object; undefined where it is gone. */
  setNode(node: NodeObject | undefined): void {
    this.#node = node;
    this.#turnNode();
    const view = viewNode(node, this.#settings);
    if (sameView(view, this.#view)) return;
    this.#view = view;
    for (const [key, held] of this.#held) {
      held.frame = undefined;
      this.#dirty.add(key);
    }
  }

  /** Every address of the node's interfaces, as they are now. */
  setAddresses(addresses: Iterable<string>): void {
    this.#addresses = [...addresses];
    this.#turnNode();
  }

  /** The first list of this kind is complete. */
  setListed(kind: 'services' | 'slices'): void {
    this.#listed.add(kind);
  }

  // ── what is given ──

  /** Both lists are complete (O15). */
  get complete(): boolean {
    return this.#listed.size === 2;
  }

  /** What else must come before rules are written: a text that names it; undefined: nothing. */
  get awaited(): string | undefined {
    if (!this.#listed.has('services')) return 'the list of Services';
    if (!this.#listed.has('slices')) return 'the list of EndpointSlices';
    return awaited(this.#node, this.#settings);
  }

  get view(): NodeView {
    return this.#view;
  }

  /** One for each family. The same array as long as nothing in it changed. */
  get node(): readonly NodeDecision[] {
    return this.#nodeDecisions;
  }

  /**
   * What changed since the last call, first what goes: a destination may pass from a decision to another in one take,
   * so a writer takes away before it adds. Empty before both lists are complete.
   */
  changes(): readonly DecisionChange[] {
    this.#settle();
    const gone: DecisionChange[] = [];
    const other: DecisionChange[] = [];
    for (const [key, before] of this.#before) {
      const after = this.#entries.get(key)?.served;
      if (before === after || (before !== undefined && after !== undefined && sameDecision(before, after))) {
        continue;
      }
      (after === undefined ? gone : other).push({ key, before, after });
    }
    this.#before.clear();
    return gone.length === 0 ? other : [...gone, ...other];
  }

  /**
   * Before the lists are complete: decisions of Services of which something has come since the last call, as they are
   * likely to be. They may still become others, or go.
   */
  foretold(): readonly Decision[] {
    const known = [...this.#dirty].filter((key) => {
      const held = this.#held.get(key);
      return held?.service !== undefined && held.slices.length > 0;
    });
    const likely: Decision[] = [];
    for (const key of this.#settleOf(known)) {
      const { raw, served } = this.#entries.get(key) ?? {};
      // Who gets a destination that several want is not known before all are.
      if (raw !== undefined && served !== undefined && !this.#claims.contests(raw)) likely.push(served);
    }
    return likely;
  }

  /** Health checks that came, went or changed since the last call. */
  healthChanges(): readonly Turned<HealthCheck>[] {
    this.#settle();
    return this.#health.take();
  }

  /** UDP ports whose destinations or serving endpoints changed since the last call. */
  udpChanges(): readonly Turned<UdpFact>[] {
    this.#settle();
    return this.#udp.take();
  }

  /** All decisions, of one family or of all, in no particular order. */
  *decisions(family?: IpFamily): Iterable<Decision> {
    this.#settle();
    for (const { served } of this.#entries.values()) {
      if (served !== undefined && (family === undefined || served.family === family)) yield served;
    }
  }

  decision(key: DecisionKey): Decision | undefined {
    this.#settle();
    return this.#entries.get(key)?.served;
  }

  healthChecks(): Iterable<HealthCheck> {
    this.#settle();
    return this.#health.values();
  }

  /** All UDP ports, for a whole pass over the conntrack table. */
  udpFacts(): Iterable<UdpFact> {
    this.#settle();
    return this.#udp.values();
  }

  /** Destinations that more than one Service asks for. */
  conflicts(): readonly Conflict[] {
    this.#settle();
    const found: Conflict[] = [];
    for (const { address, claims } of this.#claims.contested()) {
      const [winner, ...losers] = claims;
      for (const loser of losers) {
        const raw = this.#entries.get(loser.decision)?.raw;
        if (winner !== undefined && raw !== undefined) found.push(conflict(winner, loser, raw, address));
      }
    }
    return found.toSorted(compareConflicts);
  }

  /** A Service and its slices as taken, for `explain`. */
  service(
    key: ObjectKey,
  ): { readonly service: ServiceObject; readonly slices: readonly EndpointSliceObject[] } | undefined {
    const held = this.#held.get(key);
    return held?.service === undefined ? undefined : { service: held.service, slices: held.slices };
  }

  // ── the work ──

  #hold(key: ObjectKey): Held {
    let held = this.#held.get(key);
    if (held === undefined) {
      held = { service: undefined, slices: noSlices, frame: undefined, entries: noEntries, createdAt: 0 };
      this.#held.set(key, held);
    }
    return held;
  }

  #turnNode(): void {
    const next = decideNode(this.#node, this.#addresses, this.#settings);
    // A handful of short texts: comparing them as one text is cheap and cannot forget a field.
    if (JSON.stringify(next) !== JSON.stringify(this.#nodeDecisions)) this.#nodeDecisions = next;
  }

  #settle(): void {
    if (this.complete && this.#dirty.size > 0) this.#settleOf([...this.#dirty]);
  }

  /** @returns the decisions that may have become others. */
  #settleOf(services: readonly ObjectKey[]): ReadonlySet<DecisionKey> {
    const touched = new Set<DecisionKey>();
    const touch = (key: DecisionKey): void => {
      touched.add(key);
    };
    for (const key of services) {
      const held = this.#held.get(key);
      if (held !== undefined) this.#decide(held, touch);
    }
    for (const key of touched) this.#serve(key);
    const dealt = new Set(services);
    for (const key of services) {
      this.#dirty.delete(key);
      const held = this.#held.get(key);
      if (held === undefined) continue;
      this.#observe(key, held);
      if (held.service === undefined && held.slices.length === 0) this.#held.delete(key);
    }
    // Losing or winning a destination changes the UDP facts of Services that are not dirty themselves.
    for (const key of touched) {
      const entry = this.#entries.get(key);
      if (entry?.raw?.protocol === 'UDP' && !dealt.has(entry.raw.service)) this.#observeUdp(entry);
    }
    return touched;
  }

  /** What the Service asks for now, and its claims. */
  #decide(held: Held, touch: (key: DecisionKey) => void): void {
    if (held.service !== undefined) held.frame ??= frameOf(held.service, this.#view);
    const wanted = held.frame === undefined ? [] : decideFrame(held.frame, held.slices, this.#view);
    const createdAt = held.service?.createdAt ?? 0;
    const aged = createdAt !== held.createdAt;
    held.createdAt = createdAt;
    const old = held.entries;
    // Claims are given back before any is entered, so that ports of one Service can swap them.
    const kept = new Set<DecisionKey>();
    for (const decision of wanted) {
      const before = this.#entries.get(decision.key)?.raw;
      if (before !== undefined && !aged && sameClaims(before, decision)) kept.add(decision.key);
    }
    for (const { raw } of old) {
      if (raw !== undefined && !kept.has(raw.key)) this.#claims.remove(raw, touch);
    }
    const fresh = new Set<DecisionKey>();
    held.entries =
      wanted.length === 0
        ? noEntries
        : wanted.map((decision) => {
            fresh.add(decision.key);
            const entry = this.#entries.get(decision.key) ?? {
              raw: undefined,
              served: undefined,
              owner: held,
            };
            const next = adopt(entry.raw, decision);
            if (!kept.has(decision.key)) this.#claims.add(next, createdAt, touch);
            if (next !== entry.raw) touch(decision.key);
            entry.raw = next;
            this.#entries.set(decision.key, entry);
            return entry;
          });
    for (const entry of old) {
      if (entry.raw === undefined || fresh.has(entry.raw.key)) continue;
      touch(entry.raw.key);
      entry.raw = undefined;
    }
  }

  /** What is served of it, and what was before. */
  #serve(key: DecisionKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const { raw, served } = entry;
    const next = raw && withoutLost(raw, (claim) => this.#claims.lost(claim, key));
    if (next === served || (next !== undefined && served !== undefined && sameDecision(next, served))) return;
    if (!this.#before.has(key)) this.#before.set(key, served);
    entry.served = next;
    if (next !== undefined) return;
    this.#entries.delete(key);
    this.#udp.set(key, undefined);
  }

  /** Health and UDP, which may change while decisions do not. */
  #observe(key: ObjectKey, held: Held): void {
    for (const family of this.#settings.families) {
      const port = held.entries.find(({ raw }) => raw?.family === family && raw.healthCheckNodePort !== 0)
        ?.raw?.healthCheckNodePort;
      const check =
        port === undefined || held.frame === undefined
          ? undefined
          : { service: key, family, port, ready: localReady(held.frame, held.slices, family, this.#view) };
      this.#health.set(`${key} ${family}`, check);
    }
    for (const entry of held.entries) if (entry.raw?.protocol === 'UDP') this.#observeUdp(entry);
  }

  #observeUdp({ served, owner }: Entry): void {
    if (served === undefined) return;
    this.#udp.set(served.key, udpFact(served, owner.slices, this.#view));
  }
}

/** The old decision where it is equal; else the new one, with such lists of the old one as are equal. */
function adopt(old: Decision | undefined, next: Decision): Decision {
  if (old === undefined) return next;
  if (sameDecision(old, next)) return old;
  const cluster = sameEndpoints(old.cluster, next.cluster) ? old.cluster : next.cluster;
  const local = sameEndpoints(cluster, next.local)
    ? cluster
    : sameEndpoints(old.local, next.local)
      ? old.local
      : next.local;
  return { ...next, cluster, local };
}
