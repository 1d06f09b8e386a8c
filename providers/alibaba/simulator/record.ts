/** The record of calls: what was asked, what was answered, and what it touched. */

import type { AnyRecord, Change, ResourceKind, Tags } from './store.ts';

/** A resource that a call made, changed or removed. */
export interface Touched {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly change: 'created' | 'changed' | 'deleted';
  /** Its tags before the call; for a new one, those it was made with. */
  readonly tags: Tags;
}

export interface RecordedCall {
  /** From 1, without gaps. */
  readonly seq: number;
  /** When it took effect, in milliseconds on the account's clock. */
  readonly at: number;
  readonly operation: string;
  readonly input: object;
  readonly mutating: boolean;
  /** The access key on the wire; `hand` for what was done from outside. */
  readonly by: string;
  /** Present when it succeeded. */
  readonly output?: object;
  /** Present when it was refused. */
  readonly error?: { readonly code: string; readonly message: string; readonly httpStatus: number };
  readonly requestId: string;
  /** False when the caller never got the answer. */
  readonly answered: boolean;
  /** Kinds of the ordered faults that hit it. */
  readonly faults: readonly string[];
  readonly touched: readonly Touched[];
}

export class CallRecord {
  #calls: RecordedCall[] = [];
  #counts = new Map<string, number>();
  #seq = 0;

  add(call: Omit<RecordedCall, 'seq'>, limit: number): void {
    this.#seq += 1;
    this.#calls.push({ seq: this.#seq, ...call });
    this.#counts.set(call.operation, (this.#counts.get(call.operation) ?? 0) + 1);
    // Cut in big pieces: shifting one by one would cost every call.
    if (this.#calls.length > 2 * limit) this.#calls.splice(0, this.#calls.length - limit);
  }

  /** Calls after the one numbered `seq`, oldest first. */
  since(seq: number): readonly RecordedCall[] {
    const first = this.#calls[0]?.seq ?? 1;
    return this.#calls.slice(Math.max(0, seq + 1 - first));
  }

  /** Number of calls by operation, also of those no longer kept. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** Forgets the calls and counts; numbers go on. */
  forget(): void {
    this.#calls = [];
    this.#counts = new Map();
  }
}

/** What the changes of one call amount to, each resource once. */
export function summarise(changes: readonly Change[]): readonly Touched[] {
  if (changes.length === 0) return NOTHING;
  const first = new Map<string, { before: AnyRecord | undefined; after: AnyRecord | undefined }>();
  for (const { before, after } of changes) {
    const id = before?.id ?? after?.id ?? '';
    const seen = first.get(id);
    if (seen === undefined) first.set(id, { before, after });
    else seen.after = after;
  }
  const touched: Touched[] = [];
  for (const [id, { before, after }] of first) {
    const record = before ?? after;
    if (record === undefined) continue;
    const change = before === undefined ? 'created' : after === undefined ? 'deleted' : 'changed';
    touched.push({ kind: record.kind, id, change, tags: record.tags });
  }
  return touched;
}

const NOTHING: readonly Touched[] = [];
