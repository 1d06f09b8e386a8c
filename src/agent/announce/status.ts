/**
 * What the agents write into the status of a `ServiceAddress`: who holds it, and where nobody does, why.
 *
 * One writer for each address: its holder; where nobody holds it, the one agent that speaks for all. Writing is behind
 * the decisions, never in their way: it has its own queue and its own rate, and what has changed again meanwhile is
 * written once, as it is then.
 */
import type { HolderRecord, ServiceAddressObject } from '../../core/address-objects.ts';
import type { Clock, Random } from '../../core/clock.ts';
import { sleep } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { Condition, NodeName } from '../../core/objects.ts';
import { TokenBucket } from '../../core/rate.ts';
import type { ReasonCode } from '../../core/reasons.ts';
import { addressesPath } from '../../kube/address-kinds.ts';
import type { Writer } from '../../kube/writer.ts';
import type { Announcer } from './announcer.ts';
import type { AddressFacts } from './facts.ts';
import type { Ownership } from './ownership.ts';
import { memberId } from './rank.ts';

/** Without the right to hold for longer than any takeover lasts. */
const silentMs = 30_000;

export const announcedType = 'Announced';
export const contestedType = 'Contested';
export const askedType = 'Asked';

export interface StatusDraft {
  readonly holder: HolderRecord | undefined;
  readonly conditions: readonly Condition[];
  /** Only to be written where nobody has written since what it was made of. */
  readonly cautious?: boolean;
}

/** What a neighbour said about an address that we hold. */
export interface Heard {
  readonly contested: { readonly mac: string; readonly wallMs: number } | undefined;
  /** Questions of neighbours since this node holds it. */
  readonly asked: number;
}

export interface StatusInput {
  readonly node: NodeName;
  readonly object: ServiceAddressObject;
  readonly facts: AddressFacts | undefined;
  readonly ownership: Pick<
    Ownership,
    'holds' | 'owner' | 'leads' | 'linksFor' | 'view' | 'unable' | 'refusal' | 'standing' | 'withoutRightMs'
  >;
  readonly links: ReturnType<Announcer['links']>;
  readonly heard: Heard;
  readonly wallMs: number;
}

/** The status as it shall be; undefined: it is not ours to write. Pure but for what it asks of `ownership`. */
export function draftStatus(input: StatusInput): StatusDraft | undefined {
  const { object, ownership, facts } = input;
  const held = ownership.holds(object.address);
  if (held?.state === 'up') return asHolder(input, held);
  if (held === undefined && ownership.withoutRightMs > silentMs) return asPowerless(input);
  if (held !== undefined || !ownership.leads || ownership.owner(object.address) !== undefined)
    return undefined;
  if (facts?.wanted !== true)
    return { holder: undefined, conditions: others(object, [announcedType, contestedType, askedType]) };
  const why = whyNobody(input, facts);
  if (why === undefined) return undefined;
  return {
    holder: undefined,
    conditions: withCondition(input, { type: announcedType, status: 'False', ...why }, [
      contestedType,
      askedType,
    ]),
  };
}

/**
 * Nobody here may hold anything. Where others may, they have written so; and what agents that cannot hear one another
 * say must be the same, or they would write against each other without end.
 */
function asPowerless(input: StatusInput): StatusDraft | undefined {
  const { object, facts, node, ownership } = input;
  const elsewhere = object.holder !== undefined && object.holder.node !== node;
  if (facts?.wanted !== true || elsewhere) return undefined;
  const message = `no agent hears a majority of the ${ownership.standing.known} that are registered, so none announces: let UDP pass between the nodes on the port of --heartbeat-bind (10272)`;
  const conditions = withCondition(
    input,
    { type: announcedType, status: 'False', reason: 'NoMajority', message },
    [contestedType, askedType],
  );
  return { holder: undefined, conditions, cautious: true };
}

function asHolder(input: StatusInput, held: NonNullable<ReturnType<Ownership['holds']>>): StatusDraft {
  const { object, node, links, heard } = input;
  const [first = ''] = held.interfaces;
  const mac = links.find(({ name }) => name === first)?.mac ?? '';
  const before = object.holder;
  const same = before?.node === node && before.interface === first && before.mac === mac;
  const holder: HolderRecord = same
    ? before
    : { node, interface: first, mac, since: new Date(held.sinceWall).toISOString(), reason: held.reason };
  const drop = [
    ...(heard.contested === undefined ? [contestedType] : []),
    ...(heard.asked === 0 ? [askedType] : []),
  ];
  const message = `node ${node} answers on ${held.interfaces.join(', ')} (${mac})`;
  let conditions = withCondition(input, announced(message), drop);
  if (heard.contested !== undefined) {
    const { mac: other, wallMs: at } = heard.contested;
    conditions = replaced(conditions, {
      type: contestedType,
      status: 'True',
      reason: 'AddressContested',
      message: `${other} said at ${new Date(at).toISOString()} that ${object.address} is its own`,
      lastTransitionTime: new Date(at).toISOString(),
    });
  }
  if (heard.asked > 0)
    conditions = replaced(conditions, {
      type: askedType,
      status: 'True',
      reason: 'Announced',
      message: `neighbours asked ${times(heard.asked)} and were answered by node ${node}`,
      lastTransitionTime: transitionOf(input, askedType, 'True'),
    });
  return { holder, conditions };
}

/** In words that change seldom, so that questions are not writes: once, then by powers of ten. */
function times(count: number): string {
  if (count < 10) return count === 1 ? 'once' : 'more than once';
  return `at least ${10 ** Math.floor(Math.log10(count))} times`;
}

function announced(message: string): Omit<Condition, 'lastTransitionTime'> {
  return { type: announcedType, status: 'True', reason: 'Announced' satisfies ReasonCode, message };
}

function whyNobody(
  { ownership, node }: StatusInput,
  facts: AddressFacts,
): { readonly reason: ReasonCode; readonly message: string } | undefined {
  if (facts.nodes.length === 0) {
    const shown = facts.excluded.slice(0, 5).map(({ message }) => message);
    const more =
      facts.excluded.length > shown.length ? ` and ${facts.excluded.length - shown.length} more` : '';
    const message = shown.length === 0 ? 'the cluster has no nodes' : `${shown.join('; ')}${more}`;
    return { reason: 'NoEligibleNode', message };
  }
  const { live } = ownership.view();
  const there = facts.nodes.filter((name) => live.has(memberId(name)));
  if (there.length === 0) {
    const message = `no agent is heard on ${facts.nodes.slice(0, 5).join(', ')}${facts.nodes.length > 5 ? ' …' : ''}`;
    return { reason: 'NoAgentThere', message };
  }
  if (!there.every((name) => ownership.unable(facts.address, memberId(name)))) return undefined;
  const links = ownership.linksFor(facts);
  if (ownership.refusal(facts.address) || links.kind === 'links')
    return {
      reason: 'AnnounceRefused',
      message: `no kernel takes ${facts.address}: see the log of the agents on ${there.join(', ')}`,
    };
  return {
    reason: links.reason,
    message: `${links.message} (seen on ${node}; the same on ${there.length} nodes)`,
  };
}

function withCondition(
  input: StatusInput,
  draft: Omit<Condition, 'lastTransitionTime'>,
  drop: readonly string[],
): readonly Condition[] {
  const lastTransitionTime = transitionOf(input, draft.type, draft.status);
  return replaced(others(input.object, drop), { ...draft, lastTransitionTime });
}

function transitionOf({ object, wallMs }: StatusInput, type: string, status: Condition['status']): string {
  const before = object.conditions.find((condition) => condition.type === type);
  return before?.status === status ? before.lastTransitionTime : new Date(wallMs).toISOString();
}

function others({ conditions }: ServiceAddressObject, drop: readonly string[]): readonly Condition[] {
  return conditions.filter(({ type }) => !drop.includes(type));
}

function replaced(conditions: readonly Condition[], one: Condition): readonly Condition[] {
  return [...conditions.filter(({ type }) => type !== one.type), one].toSorted((a, b) =>
    a.type < b.type ? -1 : 1,
  );
}

export interface StatusKeeperOptions {
  readonly node: NodeName;
  readonly object: (name: string) => ServiceAddressObject | undefined;
  readonly facts: (name: string) => AddressFacts | undefined;
  readonly ownership: StatusInput['ownership'];
  readonly links: () => StatusInput['links'];
  readonly heard: (address: string) => Heard;
  readonly writer: Pick<Writer, 'patch'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly failed: (name: string, error: SluiceError) => void;
}

/** Of one agent. A thousand addresses that move at once are told within twenty seconds. */
const perSecond = 50;
const burst = 50;
const retryMs = 2_000;
const parallel = 4;

export class StatusKeeper {
  readonly #options: StatusKeeperOptions;
  readonly #bucket: TokenBucket;
  readonly #waiting = new Set<string>();
  readonly #stop = new AbortController();
  #working = 0;
  /** What was said last of writes that fail: an outage is one line, not one for each address. */
  #toldAs = '';

  constructor(options: StatusKeeperOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#bucket = new TokenBucket({ clock, random, perSecond, burst });
  }

  /** The status of an address may have to be another one. */
  touch(name: string): void {
    this.#waiting.add(name);
    this.#work();
  }

  stop(): void {
    this.#stop.abort();
  }

  #work(): void {
    while (this.#working < parallel && this.#waiting.size > 0 && !this.#stop.signal.aborted) {
      const [name] = this.#waiting;
      if (name === undefined) return;
      this.#waiting.delete(name);
      this.#working += 1;
      void this.#one(name).finally(() => {
        this.#working -= 1;
        this.#work();
      });
    }
  }

  async #one(name: string): Promise<void> {
    const { writer, failed, clock, object: find } = this.#options;
    const { signal } = this.#stop;
    const found = this.#draft(name);
    if (found === undefined) return;
    try {
      await this.#bucket.take(signal);
      const [object, draft] = this.#draft(name) ?? [];
      if (object === undefined || draft === undefined) return;
      await writer.patch(
        `${addressesPath}/${encodeURIComponent(name)}/status`,
        {
          metadata: {
            uid: object.uid,
            ...(draft.cautious === true ? { resourceVersion: object.resourceVersion } : {}),
          },
          status: { holder: draft.holder ?? null, conditions: draft.conditions },
        },
        { signal },
      );
      this.#toldAs = '';
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asSluiceError(thrown);
      if (error.kind === 'gone' || find(name) === undefined) return;
      // Somebody was faster: looked at again below.
      if (error.kind !== 'conflict') {
        if (error.code !== this.#toldAs) failed(name, error);
        this.#toldAs = error.code;
      }
      await sleep(clock, retryMs, signal).catch(() => undefined);
      this.#waiting.add(name);
    }
  }

  /** What is to be written; undefined where nothing is. */
  #draft(name: string): readonly [ServiceAddressObject, StatusDraft] | undefined {
    const { object: find, facts, ownership, node, links, heard, clock } = this.#options;
    const object = find(name);
    if (object === undefined) return undefined;
    const draft = draftStatus({
      node,
      object,
      facts: facts(name),
      ownership,
      links: links(),
      heard: heard(object.address),
      wallMs: clock.wall(),
    });
    if (draft === undefined || says(draft) === says(object)) return undefined;
    return [object, draft];
  }
}

/** Without times: what only grows older is not written again. */
function says({ holder, conditions }: Pick<StatusDraft, 'holder' | 'conditions'>): string {
  return JSON.stringify([
    holder && [holder.node, holder.interface, holder.mac],
    conditions.map(({ type, status, reason, message }) => [type, status, reason, message]),
  ]);
}
