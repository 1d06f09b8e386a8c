/** What a program prints comes in pieces: from these to whole lines. */
export class TextLines {
  readonly #take: (line: string) => void;
  #rest = '';

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  /** What came after the last line end. */
  get rest(): string {
    return this.#rest;
  }

  push(text: string): void {
    const whole = this.#rest + text;
    let from = 0;
    for (;;) {
      const end = whole.indexOf('\n', from);
      if (end < 0) break;
      this.#take(whole.slice(from, end));
      from = end + 1;
    }
    this.#rest = whole.slice(from);
  }
}
