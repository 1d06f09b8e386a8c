/**
 * How many changes of Services and slices have been heard of and are not in the kernel of every family yet: what
 * kube-proxy's metrics call pending. A write brings all that was heard before it began.
 */
import type { IpFamily } from '../core/objects.ts';

export type ChangedKind = 'services' | 'slices';

interface Heard {
  readonly kind: ChangedKind;
  readonly count: number;
  readonly at: number;
}

/** Of one kind, while a family cannot be written at all; older ones fall together then. */
const maxKept = 1_000;

export class PendingChanges {
  readonly #families: readonly IpFamily[];
  readonly #began = new Map<IpFamily, number>();
  #heard: Heard[] = [];

  constructor(families: readonly IpFamily[]) {
    this.#families = families;
  }

  heard(kind: ChangedKind, count: number, at: number): void {
    this.#heard.push({ kind, count, at });
    if (this.#heard.length < 2 * maxKept) return;
    this.#heard = (['services', 'slices'] as const).flatMap((one) => {
      const own = this.#heard.filter((each) => each.kind === one);
      const old = own.slice(0, -maxKept / 2);
      const last = old.at(-1);
      const sum = old.reduce((all, each) => all + each.count, 0);
      return last === undefined ? own : [{ ...last, count: sum }, ...own.slice(-maxKept / 2)];
    });
  }

  /** A family was written; `beganAt` is when that write began. */
  written(family: IpFamily, beganAt: number): void {
    this.#began.set(family, beganAt);
    const everywhere = Math.min(...this.#families.map((one) => this.#began.get(one) ?? -Infinity));
    this.#heard = this.#heard.filter(({ at }) => at > everywhere);
  }

  /** Nothing waits: what was heard and not written had nothing to write. */
  settled(): void {
    this.#heard = [];
  }

  count(kind: ChangedKind): number {
    return this.#heard.reduce((all, one) => (one.kind === kind ? all + one.count : all), 0);
  }
}
