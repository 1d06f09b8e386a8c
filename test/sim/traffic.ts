/**
 * The judge of what a call takes out of traffic (I7): nothing healthy that is still wanted goes, and what is no
 * longer wanted goes only beside a healthy successor.
 */
import type { Aim, SimAccount } from './cloud.ts';
import { targetKey } from './cloud.ts';
import type { Facts } from './facts.ts';
import { uidTag } from './marks.ts';
import type { ServiceTruth } from './truth.ts';

export interface TrafficParts {
  readonly facts: Facts;
  readonly account: SimAccount;
  /** How old the controller's picture may be at this moment, in milliseconds. */
  readonly lagMs: () => number;
  /** How long ago the live look may be that goes before a removal, in milliseconds. */
  readonly liveLagMs: () => number;
  readonly liedTo: () => boolean;
  readonly report: (message: string) => void;
}

/** A controller is patient with the last target for five minutes. */
const patienceMs = 280_000;
/** What has been unwanted for less may be a mistake that is put right at once. */
const haste = 55_000;

export class Traffic {
  readonly #parts: TrafficParts;

  constructor(parts: TrafficParts) {
    this.#parts = parts;
  }

  /** Just before the call. */
  check(aim: Aim): void {
    switch (aim.kind) {
      case 'remove targets':
        return this.#removal(aim.group, new Set(aim.targets));
      case 'delete listener':
        return this.#listener(aim.listener);
      case 'delete balancer':
        return this.#balancer(aim.balancer);
      case 'turn listener':
        return this.#turn(aim.from, aim.to);
      case 'create listener':
      case 'protect':
    }
  }

  #removal(group: string, removed: ReadonlySet<string>): void {
    const { facts, account, lagMs, report } = this.#parts;
    const truth = this.#truthOf(group);
    if (truth === undefined || !truth.ours) return;
    const targets = account.targetsOf(group);
    const healthy = targets.filter((one) => one.healthy).map((one) => targetKey(one));
    for (const target of removed) {
      if (healthy.includes(target) && facts.old(`${truth.uid}|target|${target}`, lagMs()))
        report(`${truth.key}: healthy target ${target} is deregistered although it is wanted`);
    }
    const gone = healthy.filter((target) => removed.has(target));
    const fresh = gone.filter((target) => {
      const age = facts.age(`${truth.uid}|unwanted|${target}`);
      return age !== undefined && age <= haste;
    });
    if (gone.length >= 2 && gone.length > healthy.length / 2 && fresh.length > 0)
      report(
        `${truth.key}: ${gone.length} of ${healthy.length} healthy targets go at once, on the word of less than a minute`,
      );
    const left = targets
      .map((one) => targetKey(one))
      .filter((target) => !removed.has(target) && (healthy.includes(target) || this.#fellIllNow(target)));
    const known = [...removed].filter((target) => healthy.includes(target) && this.#mayServe(truth, target));
    if (left.length === 0 && known.length > 0 && truth.targets.size > 0)
      report(`${truth.key}: the last healthy targets (${known.join(', ')}) go before a successor is healthy`);
  }

  /** It was healthy when the controller looked, as far as it could see. */
  #fellIllNow(target: string): boolean {
    const { facts, liedTo, lagMs, liveLagMs } = this.#parts;
    const ill = facts.illFor(target.split('|')[0] ?? '');
    return ill !== undefined && ill < (liedTo() ? lagMs() : liveLagMs());
  }

  /** Its node is there and may be a target, and it has not been unwanted for as long as patience lasts. */
  #mayServe(truth: ServiceTruth, target: string): boolean {
    const { facts } = this.#parts;
    const unwanted = facts.age(`${truth.uid}|unwanted|${target}`);
    return unwanted !== undefined && unwanted <= patienceMs && facts.has(`instance|${target.split('|')[0]}`);
  }

  #listener(id: string): void {
    const { facts, account, lagMs, report } = this.#parts;
    const truth = this.#truthOf(id);
    if (truth === undefined) return;
    const { port, protocol } = account.listenerOf(id) ?? {};
    if (facts.old(`${truth.uid}|listener|${port}|${protocol}`, lagMs()))
      report(`${truth.key}: listener ${port}/${protocol} is deleted although it is wanted`);
  }

  #balancer(id: string): void {
    const { facts, liveLagMs, report } = this.#parts;
    const uid = this.#uidOf(id);
    if (facts.old(`${uid}|ours`, liveLagMs()))
      report(`${facts.truths.get(uid)?.key}: its balancer is deleted although it is wanted`);
  }

  #turn(from: string, to: string): void {
    const { account, facts, lagMs, report } = this.#parts;
    const truth = this.#truthOf(to);
    if (truth === undefined || from === to) return;
    const wanted = truth.listeners.some(({ nodePort }) =>
      [...truth.targets.keys()].some((one) => facts.old(`${truth.uid}|target|${one}|${nodePort}`, lagMs())),
    );
    if (!wanted) return;
    // One that cannot be seen yet is refused by the cloud.
    const visible = account.groups().some(({ id }) => id === to);
    if (
      visible &&
      account.targetsOf(from).some(({ healthy }) => healthy) &&
      account.targetsOf(to).length === 0
    )
      report(`${truth.key}: a listener is turned from a group that serves to one without targets`);
  }

  #truthOf(id: string): ServiceTruth | undefined {
    return this.#parts.facts.truths.get(this.#uidOf(id));
  }

  #uidOf(id: string): string {
    return this.#parts.account.resources().find((one) => one.id === id)?.tags[uidTag] ?? '';
  }
}
