/** Stand-ins for the tests of this folder: a kernel that is a map, and a source of decisions. */
import { sleep, type Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { objectKey } from '../core/objects.ts';
import type { Backend, Difference, ForeignChange, Written } from './backend.ts';
import {
  decisionKey,
  type Decision,
  type DecisionChange,
  type DecisionKey,
  type NodeDecision,
} from './decision.ts';
import type { DecisionSource } from './sync.ts';

export function testDecision(name: string, over: Partial<Decision> = {}): Decision {
  const service = objectKey('default', name);
  const protocol = over.protocol ?? 'TCP';
  const family = over.family ?? 'IPv4';
  return {
    key: decisionKey(service, '', protocol, family),
    service,
    portName: '',
    protocol,
    family,
    port: 80,
    clusterIP: '10.96.0.10',
    externalIPs: [],
    balancerIPs: [],
    nodePort: 0,
    cluster: [],
    local: [],
    internal: { kind: 'reject' },
    external: { kind: 'reject' },
    shortcut: undefined,
    affinitySeconds: undefined,
    sourceRanges: undefined,
    guardEverything: false,
    balancing: 'random',
    healthCheckNodePort: 0,
    ...over,
  };
}

export const testNode: NodeDecision = {
  family: 'IPv4',
  nodePortAddresses: ['10.0.0.1'],
  localhostNodePorts: false,
  localSource: { kind: 'none' },
  masqueradeAll: false,
  markBit: 13,
  serviceRanges: [],
  dropInvalid: false,
};

export class FakeSource implements DecisionSource {
  readonly held = new Map<DecisionKey, Decision>();
  nodeDecision: NodeDecision = testNode;

  put(after: Decision): readonly DecisionChange[] {
    const before = this.held.get(after.key);
    this.held.set(after.key, after);
    return [{ key: after.key, before, after }];
  }

  remove(key: DecisionKey): readonly DecisionChange[] {
    const before = this.held.get(key);
    if (before === undefined) return [];
    this.held.delete(key);
    return [{ key, before, after: undefined }];
  }

  node(): NodeDecision {
    return this.nodeDecision;
  }

  decisions(): Iterable<Decision> {
    return this.held.values();
  }

  decision(key: DecisionKey): Decision | undefined {
    return this.held.get(key);
  }
}

/** A kernel as a map. A write takes `ms`; a failing one has had half of its effect by then. */
export class FakeBackend implements Backend {
  readonly name = 'nftables';
  readonly family = 'IPv4';
  readonly kernel = new Map<DecisionKey, Decision>();
  readonly calls: { readonly kind: 'replace' | 'apply'; readonly changes: number; readonly at: number }[] =
    [];
  readonly refuse = new Map<DecisionKey, string>();
  ms = 0;
  verifyMs = 0;
  /** Its looks say nothing about what is written meanwhile, instead of saying what is wrong. */
  verifiesBesideWrites = false;
  hastens = false;
  /** So many looks end with this, the next first. */
  crossed = 0;
  closed = false;
  prepared = 0;
  /** Two writes at once have been seen. */
  overlapping = false;
  /** Writes are answered and have no effect: somebody else undoes them. */
  deaf = false;
  readonly #clock: Clock;
  #written = new Map<DecisionKey, Decision>();
  #failures = 0;
  #failure: SluiceError | undefined;
  #busy = false;
  #onChange: (change: ForeignChange) => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  failNext(times: number, failure: SluiceError): void {
    this.#failures = times;
    this.#failure = failure;
  }

  /** Another program empties the kernel. */
  flush(change: ForeignChange): void {
    this.kernel.clear();
    this.#onChange(change);
  }

  async replace(_node: NodeDecision, decisions: Iterable<Decision>): Promise<Written> {
    const all = [...decisions];
    this.calls.push({ kind: 'replace', changes: all.length, at: this.#clock.now() });
    return this.#write(() => {
      this.kernel.clear();
      return all.map((after) => ({ key: after.key, before: undefined, after }));
    });
  }

  async apply(changes: readonly DecisionChange[]): Promise<Written> {
    this.calls.push({ kind: 'apply', changes: changes.length, at: this.#clock.now() });
    return this.#write(() => changes);
  }

  async verify(): Promise<readonly Difference[]> {
    const written = this.#written;
    const found = [...written.keys()].filter((key) => !this.kernel.has(key));
    if (this.verifyMs > 0) await sleep(this.#clock, this.verifyMs);
    if (this.crossed > 0) {
      this.crossed -= 1;
      throw new SluiceError('transient', 'look again', { code: 'Crossed' });
    }
    if (this.verifiesBesideWrites) {
      return found
        .filter((key) => written.get(key) === this.#written.get(key))
        .map((key) => ({ kind: 'missing', object: key, key }));
    }
    // What was read is compared with what has been written by then.
    const extra = [...this.#written].filter(([key, one]) => written.get(key) !== one).map(([key]) => key);
    return [...found, ...extra].map((key) => ({ kind: 'missing', object: key, key }));
  }

  describe(): readonly string[] {
    return [];
  }

  prepare(): void {
    this.prepared += 1;
  }

  watch(onChange: (change: ForeignChange) => void): void {
    this.#onChange = onChange;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  async #write(changes: () => readonly DecisionChange[]): Promise<Written> {
    if (this.#busy) this.overlapping = true;
    this.#busy = true;
    if (this.ms > 0) await sleep(this.#clock, this.ms);
    this.#busy = false;
    const all = changes();
    const fails = this.#failures > 0;
    if (fails) this.#failures -= 1;
    const done = fails ? all.slice(0, Math.floor(all.length / 2)) : all;
    const quarantined: { key: DecisionKey; message: string }[] = [];
    const next = new Map(this.#written);
    for (const { key, after } of done) {
      const message = this.refuse.get(key);
      if (after !== undefined && message !== undefined) quarantined.push({ key, message });
      const gone = after === undefined || message !== undefined;
      if (gone) next.delete(key);
      else next.set(key, after);
      if (this.deaf) continue;
      if (gone) this.kernel.delete(key);
      else this.kernel.set(key, after);
    }
    this.#written = next;
    if (fails && this.#failure) throw this.#failure;
    return { operations: done.length, quarantined };
  }
}
