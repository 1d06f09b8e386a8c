/**
 * Answers what the controller asks before it gives an address out: does anybody on the link have it already?
 *
 * Every agent can tell who is to ask, so one does: the first choice for the address among those that are there and have
 * a link for it. The answer is written into `status.probe`, in the words of the announcer.
 *
 * Agents that have just started may not agree who is first, and then several ask. The first answer counts: a later one
 * might have found the node that was given the address since, and would take it away again.
 */
import type { ProbeRecord, ServiceAddressObject } from '../../core/address-objects.ts';
import type { Clock } from '../../core/clock.ts';
import { sleep } from '../../core/clock.ts';
import { asSluiceError, type SluiceError } from '../../core/errors.ts';
import type { NodeName } from '../../core/objects.ts';
import { addressesPath } from '../../kube/address-kinds.ts';
import type { Writer } from '../../kube/writer.ts';
import type { Announcer, ProbeAnswer } from './announcer.ts';
import { isAsked, type AddressFacts } from './facts.ts';
import type { Ownership } from './ownership.ts';
import { memberId, ranked } from './rank.ts';

export interface ProbesOptions {
  readonly node: NodeName;
  readonly object: (name: string) => ServiceAddressObject | undefined;
  readonly facts: (name: string) => AddressFacts | undefined;
  readonly ownership: Pick<Ownership, 'me' | 'view' | 'unable' | 'linksFor' | 'owner' | 'leads'>;
  readonly announcer: Pick<Announcer, 'probe'>;
  readonly writer: Pick<Writer, 'patch'>;
  readonly clock: Clock;
  readonly failed: (name: string, error: SluiceError) => void;
}

/** Questions on the link at once: each takes a second or two. */
const parallel = 64;
const retryMs = 2_000;

export class Probes {
  readonly #options: ProbesOptions;
  readonly #waiting = new Set<string>();
  readonly #under = new Set<string>();
  /** Of those under way, how many the link is asked about. */
  #busy = 0;
  readonly #stop = new AbortController();

  constructor(options: ProbesOptions) {
    this.#options = options;
  }

  /** A question about this address may be waiting. Cheap. */
  touch(name: string): void {
    if (!this.#isOurs(name) || this.#under.has(name)) return;
    this.#waiting.add(name);
    this.#work();
  }

  stop(): void {
    this.#stop.abort();
  }

  #work(): void {
    while (this.#busy < parallel && this.#waiting.size > 0 && !this.#stop.signal.aborted) {
      const [name] = this.#waiting;
      if (name === undefined) return;
      this.#waiting.delete(name);
      this.#under.add(name);
      this.#busy += 1;
      void this.#one(name).finally(() => {
        this.#under.delete(name);
        // A later question may have come meanwhile.
        this.touch(name);
      });
    }
  }

  /** Asks and writes. */
  async #one(name: string): Promise<void> {
    const { clock } = this.#options;
    const answered = await this.#answer(name).finally(() => {
      this.#busy -= 1;
      this.#work();
    });
    // The watch brings what was written; until then the question would look open.
    if (answered) await sleep(clock, retryMs, this.#stop.signal).catch(() => undefined);
  }

  #isOurs(name: string): boolean {
    const { object, facts, ownership } = this.#options;
    const asked = object(name);
    const about = facts(name);
    if (asked === undefined || about === undefined || !isAsked(asked)) return false;
    const { live, ready } = ownership.view();
    const fit = about.poolNodes
      .map(memberId)
      .filter((member) => live.has(member) && ready.has(member) && !ownership.unable(about.address, member));
    // Where nobody can, one says so.
    return fit.length === 0 ? ownership.leads : ranked(fit, about.address)[0] === ownership.me;
  }

  /** False where there was nothing to say. */
  async #answer(name: string): Promise<boolean> {
    const { node, object, facts, ownership, announcer, writer, clock, failed } = this.#options;
    const { signal } = this.#stop;
    const asked = object(name);
    const about = facts(name);
    if (asked === undefined || about === undefined) return false;
    const links = ownership.linksFor(about);
    const link = links.kind === 'links' ? links.names[0] : undefined;
    let answer: ProbeAnswer | { readonly kind: 'failed'; readonly message: string };
    // What one of us holds would be found taken by ourselves.
    if (ownership.owner(about.address) !== undefined) answer = { kind: 'free' };
    else if (links.kind === 'none' || link === undefined)
      answer = { kind: 'failed', message: links.kind === 'none' ? links.message : 'no link' };
    else answer = await announcer.probe(about.address, link, signal);
    if (signal.aborted) return false;
    const latest = object(name);
    if (latest === undefined || latest.uid !== asked.uid || !isAsked(latest)) return false;
    // Asked again meanwhile: that is for a look that begins after the question.
    if (latest.probeAfter !== asked.probeAfter) return false;
    const probe: ProbeRecord = {
      node,
      interface: link ?? '',
      at: new Date(Math.max(clock.wall(), Date.parse(latest.probeAfter ?? '') + 1)).toISOString(),
      outcome: answer.kind,
      ...(answer.kind === 'taken' ? { mac: answer.mac } : {}),
      ...(answer.kind === 'failed'
        ? { message: ('error' in answer ? answer.error.message : answer.message).slice(0, 1_024) }
        : {}),
    };
    try {
      await writer.patch(
        `${addressesPath}/${encodeURIComponent(name)}/status`,
        {
          metadata: { uid: latest.uid, resourceVersion: latest.resourceVersion },
          status: { probe: withoutOld(latest.probe, probe) },
        },
        { signal },
      );
    } catch (thrown) {
      if (signal.aborted) return false;
      const error = asSluiceError(thrown);
      // Gone, answered by somebody else, or changed otherwise: looked at again below, as the watch has it then.
      if (error.kind !== 'conflict' && error.kind !== 'gone') failed(name, error);
    }
    return true;
  }
}

/** A merge patch keeps fields that it does not name. */
function withoutOld(
  before: ProbeRecord | undefined,
  probe: ProbeRecord,
): Readonly<Record<string, string | null>> {
  return {
    ...(before?.mac === undefined ? {} : { mac: null }),
    ...(before?.message === undefined ? {} : { message: null }),
    ...probe,
  };
}
