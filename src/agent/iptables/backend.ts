/**
 * The iptables backend of one address family: keeps `Model` and kernel the same.
 *
 * Invariants: rules never send to an endpoint what the sets do not yet (or no longer) let in untranslated, because
 * refusals are added before the rules change and taken away after; a destination enters the dispatch after its rules.
 * A refused write is undone and tried again in halves, so one bad decision costs only itself. When even the undoing is
 * refused, the error says that the kernel's state is unknown, and the caller replaces.
 */
import { systemClock, type Clock } from '../../core/clock.ts';
import { asSluiceError, SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type {
  Backend,
  Difference,
  ForeignChange,
  PacketCounts,
  Quarantined,
  RuleCount,
  Written,
} from '../backend.ts';
import type { Decision, DecisionChange, DecisionKey, NodeDecision } from '../decision.ts';
import { countOf, emptyDelta, type Delta } from './delta.ts';
import { readHeld, type Held, type Reading } from './held.ts';
import type { Abilities, Layout } from './layout.ts';
import { Looks } from './looks.ts';
import { OwnProcesses } from './own.ts';
import { Model } from './model.ts';
import { beforeRules } from './names.ts';
import { packetCounts } from './packets.ts';
import { makeTools, type Refusal, type Spawn, type Tools, type Variant } from './programs.ts';
import { deletions } from './quick.ts';
import { Shed } from './shed.ts';
import { editSet, noRules, RestoreText, sumOf } from './text.ts';
import { machineNumbers, watchKernel } from './watch.ts';
import { WholeWrite } from './whole.ts';

export interface IptablesOptions {
  readonly family: IpFamily;
  readonly variant: Variant;
  readonly abilities: Abilities;
  /** What was read of the kernel when the abilities were asked for: it need not be read again right away. */
  readonly opening?: Reading;
  readonly spawn: Spawn;
  readonly clock?: Clock;
  /** Sets `net.ipv4.conf.all.route_localnet=1`: called once the guard is in place, where localhost node ports are on. */
  readonly allowLocalhost?: () => Promise<void>;
  /** Milliseconds between looks at what nobody reports: the legacy tables and the ipsets. */
  readonly pollMs?: number;
}

type Answer = Promise<Refusal | undefined>;

/** What was read ahead is used for so long. Whatever came between is found by the first look of the writer. */
const freshMs = 10_000;

export class IptablesBackend implements Backend {
  readonly name = 'iptables';
  readonly family: IpFamily;
  readonly variant: Variant;
  readonly verifiesBesideWrites = true;
  readonly #options: Omit<IptablesOptions, 'opening'>;
  readonly #tools: Tools;
  readonly #clock: Clock;
  readonly #own: OwnProcesses;
  readonly #closed = new AbortController();
  readonly #shed = new Shed();
  readonly #looks: Looks;
  #model: Model | undefined;
  #opening: Reading | undefined;
  #ahead: Reading | undefined;
  /** Grows at the start and the end of each write, so it is odd while one runs: a watcher then accuses nobody. */
  #writes = 0;
  /** Monotonic milliseconds of the end of the last write. */
  #wroteAt = Number.NEGATIVE_INFINITY;
  #localhostAllowed = false;
  /** Rules that the last write has sent. */
  #sent = noRules;

  constructor({ opening, ...options }: IptablesOptions) {
    this.#options = options;
    this.#opening = opening;
    this.family = options.family;
    this.variant = options.variant;
    this.#clock = options.clock ?? systemClock;
    this.#own = new OwnProcesses(options.spawn);
    const { spawn } = this.#own;
    const ahead = { clock: this.#clock, ahead: true };
    this.#tools = makeTools(spawn, options.variant, options.family, ahead);
    const model = (): Model | undefined => this.#model;
    const writing = (): boolean => this.#writes % 2 === 1;
    this.#looks = new Looks({ spawn, tools: this.#tools, shed: this.#shed, model, writing });
  }

  prepare(): void {
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening !== undefined && this.#clock.now() - opening.at < freshMs / 2) {
      this.#ahead = opening;
      return;
    }
    const held = readHeld(this.#tools);
    // Whoever needs it reads again, and tells.
    held.catch(() => undefined);
    this.#ahead = { at: this.#clock.now(), held };
  }

  #readFresh(): Promise<Held> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    this.#opening = undefined;
    return ahead !== undefined && this.#clock.now() - ahead.at < freshMs
      ? ahead.held.catch(() => readHeld(this.#tools))
      : readHeld(this.#tools);
  }

  async replace(node: NodeDecision, decisions: Iterable<Decision>): Promise<Written> {
    const layout: Layout = { family: this.family, node, abilities: this.#options.abilities };
    const model = new Model(layout);
    // Until the end nothing is known about the kernel: a failure on the way must not leave a model that lies.
    this.#model = undefined;
    const whole = new WholeWrite({ model, decisions, tools: this.#tools, read: () => this.#readFresh() });
    const written = await this.#writing(() => whole.run());
    this.#sent = whole.rules;
    if (node.localhostNodePorts && !this.#localhostAllowed) {
      await this.#options.allowLocalhost?.();
      this.#localhostAllowed = true;
    }
    this.#shed.clear();
    this.#model = model;
    return written;
  }

  async apply(changes: readonly DecisionChange[]): Promise<Written> {
    const model = this.#model;
    if (model === undefined) {
      throw new SluiceError(
        'ambiguous',
        'the state of the kernel is not known: everything is to be written anew',
        {
          code: 'KernelUnknown',
        },
      );
    }
    this.#sent = noRules;
    try {
      return await this.#change(model, changes);
    } catch (error) {
      this.#model = undefined;
      throw error;
    }
  }

  /** The legacy tool copies the whole table at every COMMIT. */
  get hastens(): boolean {
    return this.variant === 'nft';
  }

  async hasten(changes: readonly DecisionChange[]): Promise<boolean> {
    const model = this.#model;
    if (model === undefined || !this.hastens) return false;
    try {
      return await this.#shed.take(model, changes, (text, chains) => {
        this.#looks.touchChains(chains);
        return this.#writing(() => this.#tools.edit(text));
      });
    } catch (error) {
      this.#model = undefined;
      throw error;
    }
  }

  async #change(model: Model, changes: readonly DecisionChange[]): Promise<Written> {
    const delta = emptyDelta();
    const undo: { key: DecisionKey; before: Decision | undefined }[] = [];
    const quarantined: Quarantined[] = [];
    for (const { key, after } of changes) {
      const before = model.decisions.get(key);
      try {
        model.put(key, after, delta);
        undo.unshift({ key, before });
      } catch (error) {
        quarantined.push({ key, message: asSluiceError(error).message });
      }
    }
    model.finish(delta);
    this.#shed.complete(model, delta);
    this.#looks.touch(delta);
    const operations = countOf(delta);
    if (operations === 0) return { operations, quarantined };
    const ahead = this.variant === 'nft' ? deletions('nat', delta.gone) : '';
    const refusal = await this.#writing(() => this.#write(delta, ahead));
    if (refusal === undefined) return { operations, quarantined };

    const back = emptyDelta();
    for (const { key, before } of undo) model.put(key, before, back);
    model.finish(back);
    this.#shed.complete(model, back);
    this.#looks.touch(back);
    const stuck = await this.#writing(() => this.#write(back));
    if (stuck !== undefined) {
      throw new SluiceError(
        'ambiguous',
        `the rules could be written neither forward nor back: ${stuck.message}`,
        {
          code: 'KernelUnknown',
          cause: refusal,
        },
      );
    }
    const tried = changes.filter(({ key }) => undo.some((done) => done.key === key));
    if (tried.length === 1 && tried[0] !== undefined) {
      return {
        operations: 0,
        quarantined: [...quarantined, { key: tried[0].key, message: refusal.message }],
      };
    }
    const middle = Math.ceil(tried.length / 2);
    const first = await this.#change(model, tried.slice(0, middle));
    const second = await this.#change(model, tried.slice(middle));
    return {
      operations: first.operations + second.operations,
      quarantined: [...quarantined, ...first.quarantined, ...second.quarantined],
    };
  }

  async #writing<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#writes += 1;
    this.#looks.cross();
    try {
      return await work();
    } finally {
      this.#writes += 1;
      this.#wroteAt = this.#clock.now();
    }
  }

  /** @param ahead a commit that may stand before the others; it is no change of its own, and can be left out. */
  async #write(delta: Delta, ahead = ''): Answer {
    const { family } = this;
    const before: string[] = [];
    const after: string[] = [];
    for (const [name, entries] of delta.add) {
      (beforeRules.has(name) ? before : after).push(...editSet(family, 'add', name, entries));
    }
    for (const [name, entries] of delta.remove) after.push(...editSet(family, 'del', name, entries));
    const text = new RestoreText();
    for (const [id, rules] of delta.chains) text.chain(id, rules);
    this.#sent = sumOf(this.#sent, text.rules);
    const edit = async (part: string): Answer => {
      const refusal = await this.#orUndo(this.#tools.edit(part + text.toString()), before);
      if (refusal === undefined) this.#shed.clear();
      // Somebody else may have taken the rule away: the chains are written whatever they hold.
      return refusal !== undefined && part !== '' ? edit('') : refusal;
    };
    if (text.operations === 0) return this.#tools.sets([...before, ...after]);
    return (await this.#tools.sets(before)) ?? (await edit(ahead)) ?? (await this.#tools.sets(after));
  }

  /** Takes the set entries back where the rules that they were for could not be tried at all (the lock is held). */
  async #orUndo(restored: Answer, before: readonly string[]): Answer {
    try {
      return await restored;
    } catch (error) {
      const added = before.filter((line) => line.startsWith('add '));
      await this.#tools.sets(added.map((line) => line.replace('add', 'del')));
      throw error;
    }
  }

  verify(): Promise<readonly Difference[]> {
    return this.#looks.differences();
  }

  ruleCounts(): readonly RuleCount[] {
    const total = this.#model?.rules;
    if (total === undefined) return [];
    return (['nat', 'filter'] as const).map((table) => ({
      table,
      total: total[table],
      written: this.#sent[table],
    }));
  }

  async packetCounts(): Promise<PacketCounts> {
    const layout = this.#model?.layout;
    return layout === undefined
      ? { invalidDropped: undefined, toLocalhost: undefined }
      : await packetCounts(this.#own.spawn, this.variant, layout);
  }

  describe(key: DecisionKey): readonly string[] {
    const model = this.#model;
    if (model === undefined) return [];
    const { rules, members } = model.describe(key);
    return [...rules, ...members.flatMap(([name, entry]) => editSet(this.family, 'add', name, [entry]))];
  }

  watch(onChange: (change: ForeignChange) => void, signal: AbortSignal): void {
    watchKernel({
      family: this.family,
      variant: this.variant,
      spawn: this.#options.spawn,
      clock: this.#clock,
      pollMs: this.#options.pollMs ?? 10_000,
      isOurs: (pid) => this.#own.has(pid),
      writes: () => this.#writes,
      wroteAt: () => this.#wroteAt,
      numbersHold: machineNumbers(),
      look: () => this.#looks.quiet(),
      onChange,
      signal: AbortSignal.any([signal, this.#closed.signal]),
    });
  }

  close(): Promise<void> {
    this.#closed.abort();
    this.#model = undefined;
    return this.#tools.close();
  }
}
