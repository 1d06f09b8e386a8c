/**
 * One read for many who ask.
 *
 * One round is under way at a time; whoever asks meanwhile waits for the next round, which begins after the
 * question was put. So an answer is never older than the question, a lone question is answered by a cheap
 * call of its own, and a storm of questions costs a handful of calls.
 *
 * Invariants: a failed round fails all who waited for it (it is never an empty answer); one who gives up
 * does not take the round away from the others.
 */

interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export class SharedRead<Question, Answer> {
  readonly #round: (questions: readonly Question[], signal: AbortSignal) => Promise<Answer>;
  #waiting: Waiting<Question, Answer>[] = [];
  #running = false;

  /** @param round answers all questions at once; its signal fires when nobody waits for it any more. */
  constructor(round: (questions: readonly Question[], signal: AbortSignal) => Promise<Answer>) {
    this.#round = round;
  }

  /** Rejects with the signal's reason when it fires first. */
  ask(question: Question, signal: AbortSignal): Promise<Answer> {
    const asked = new Promise<Answer>((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const giveUp = (): void => reject(signal.reason);
      signal.addEventListener('abort', giveUp, { once: true });
      const done = (): void => signal.removeEventListener('abort', giveUp);
      this.#waiting.push({
        question,
        signal,
        resolve: (answer) => (done(), resolve(answer)),
        reject: (error) => (done(), reject(error)),
      });
    });
    if (!this.#running) void this.#run();
    return asked;
  }

  async #run(): Promise<void> {
    this.#running = true;
    // The questions of one turn of the event loop belong together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const round = this.#waiting.filter((one) => !one.signal.aborted);
      this.#waiting = [];
      if (round.length > 0) await this.#answer(round);
    }
    this.#running = false;
  }

  async #answer(round: readonly Waiting<Question, Answer>[]): Promise<void> {
    const abandoned = new AbortController();
    let left = round.length;
    const leave = (): void => {
      left -= 1;
      if (left === 0) abandoned.abort();
    };
    for (const { signal } of round) signal.addEventListener('abort', leave, { once: true });
    try {
      const answer = await this.#round(
        round.map(({ question }) => question),
        abandoned.signal,
      );
      for (const one of round) one.resolve(answer);
    } catch (error) {
      for (const one of round) one.reject(error);
    } finally {
      for (const { signal } of round) signal.removeEventListener('abort', leave);
    }
  }
}
