/**
 * Keeps the guard (guard-text.ts) in the kernel: written by change, looked at now and then, and written anew where it
 * is not what it was.
 */
import { SluiceError, asSluiceError } from '../../../core/errors.ts';
import { Session, runNft, type SpawnPiped } from '../../nftables/process.ts';
import {
  guardChange,
  guardElements,
  guardTable,
  readListing,
  removeGuard,
  sameElements,
  wholeGuard,
  type GuardElements,
  type GuardState,
} from './guard-text.ts';

/** Up to so many characters go to the nft that is running already: a takeover must not wait for a process to start. */
const shortText = 20_000;

export class Guard {
  readonly #start: SpawnPiped;
  readonly #session: Session;
  /** What stands in the kernel; undefined where nobody knows. */
  #written: GuardElements | undefined;
  /** The rules as nft lists them. */
  #rules: string | undefined;

  constructor(start: SpawnPiped) {
    this.#start = start;
    this.#session = new Session(start);
  }

  /** @throws SluiceError where it could not be written: nothing new may answer then. */
  async become(state: GuardState): Promise<void> {
    const wanted = guardElements(state);
    const text = this.#written === undefined ? wholeGuard(wanted) : guardChange(this.#written, wanted);
    if (text === '') return;
    try {
      await this.#write(text);
    } catch (error) {
      this.#written = undefined;
      throw error;
    }
    this.#written = wanted;
  }

  /**
   * Looks whether the kernel still has it. @returns false where somebody else has changed or removed it; the next
   * `become` writes it whole.
   */
  async intact(): Promise<boolean> {
    const written = this.#written;
    if (written === undefined) return false;
    const listing = await this.#list();
    // Written again meanwhile: what was read says nothing about it.
    if (this.#written !== written) return true;
    const seen = listing === undefined ? undefined : readListing(listing);
    const rules = (this.#rules ??= seen?.rules);
    if (seen !== undefined && seen.rules === rules && sameElements(seen.elements, written)) return true;
    this.#written = undefined;
    return false;
  }

  /** Takes the whole table away, and ends. */
  async remove(): Promise<void> {
    this.#written = undefined;
    try {
      await this.#write(removeGuard);
    } finally {
      await this.close();
    }
  }

  /** Ends its child. What stands in the kernel stays. */
  close(): Promise<void> {
    return this.#session.close();
  }

  async #list(): Promise<string | undefined> {
    const out: string[] = [];
    const { code } = await runNft(
      this.#start,
      ['-p', '-y', 'list', 'table', 'inet', guardTable],
      [],
      (text) => out.push(text),
    );
    return code === 0 ? out.join('') : undefined;
  }

  /** What nft said against it; empty when it was carried out. */
  async #execute(text: string): Promise<string> {
    if (text.length <= shortText) return this.#session.execute(text.trim().replaceAll('\n', '; '));
    const { code, error } = await runNft(this.#start, ['-f', '-'], [text]);
    return code === 0 ? '' : error || `nft ended with ${code ?? 'a signal'}`;
  }

  async #write(text: string): Promise<void> {
    const error = await this.#execute(text);
    if (error === '') return;
    const denied = /not permitted|permission denied/iu.test(error);
    throw new SluiceError(
      denied ? 'denied' : 'transient',
      `the rules that shut every other port of an address could not be written${denied ? ' (NET_ADMIN is missing)' : ''}: ${error.split('\n')[0] ?? ''}`,
      { code: 'GuardNotWritten' },
    );
  }
}

/** Never rejects. */
export async function attempt(work: Promise<unknown>): Promise<SluiceError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return asSluiceError(error);
  }
}
