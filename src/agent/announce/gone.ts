/** Which addresses are no more for so long that nobody need remember who held them. */
export class Gone {
  readonly #forgetMs: number;
  readonly #since = new Map<string, number>();

  constructor(forgetMs: number) {
    this.#forgetMs = forgetMs;
  }

  /** Of the addresses that there are records of, those to be forgotten now; each is named once. */
  due(recorded: Iterable<string>, there: (address: string) => boolean, now: number): readonly string[] {
    const due: string[] = [];
    for (const address of this.#since.keys()) if (there(address)) this.#since.delete(address);
    for (const address of recorded) {
      if (there(address)) continue;
      const since = this.#since.get(address);
      if (since === undefined) this.#since.set(address, now);
      else if (now - since >= this.#forgetMs) due.push(address);
    }
    for (const address of due) this.#since.delete(address);
    return due;
  }
}
