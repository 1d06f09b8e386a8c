/**
 * Carries out the steps of a plan that the guard let pass, and says what became of each.
 *
 * Order: a step starts when all it needs has succeeded. Steps that only add run side by side, as many as the
 * provider allows, in list order; a step with a risk starts when everything before it has finished, and runs
 * alone. When a step fails, what needs it is skipped and the rest goes on: one bad listener does not cost
 * the good ones. Only errors that would meet every further call as well end the plan early.
 *
 * Invariants: each step is applied at most once; nothing starts after the signal has fired or a permit was
 * refused; everything under way has ended when the promise settles.
 */
import type { Clock } from './clock.ts';
import { asSluiceError, SluiceError } from './errors.ts';
import { prerequisites, resolveRefs } from './plan.ts';
import type { Outputs, Parameters, Step } from './plan.ts';
import type { Provider } from './provider.ts';

export interface ExecuteInput<Observed> {
  readonly provider: Pick<Provider<unknown, unknown, Observed>, 'parallel' | 'apply' | 'advance' | 'split'>;
  readonly observed: Observed;
  readonly steps: readonly Step[];
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Called right before each call; throws when writing is not allowed at this moment. */
  readonly permit?: () => void;
  /** Called after each call, refused ones included. */
  readonly onStep?: (attempt: Attempt) => void;
}

export interface Attempt {
  readonly step: Step;
  /** References resolved. */
  readonly parameters: Parameters;
  /** How long the call took, in milliseconds. */
  readonly ms: number;
  readonly error: SluiceError | undefined;
}

export interface Execution<Observed = unknown> {
  /** What exists now, as far as the answers tell. */
  readonly observed: Observed;
  /** In the order in which they ended; of a step that was split, its pieces. */
  readonly done: readonly { readonly step: Step; readonly parameters: Parameters; readonly ms: number }[];
  /** Of a step that was split, the pieces that were given up, tried or not. */
  readonly failed: readonly { readonly step: Step; readonly error: SluiceError }[];
  /** Not tried: something they need is missing or failed, or the plan ended early. In plan order. */
  readonly skipped: readonly Step[];
}

/** A step may be split this often before it counts as failed: enough to find every bad target of a large batch. */
const mostPieces = 512;

/** What became of a step or a piece. */
interface Attempted {
  /** Undefined when it failed in a way that counts: what needs the step is skipped. */
  readonly outputs: Outputs | undefined;
  /** Why it is not whole: it failed, or some of it was given up. */
  readonly lacking: SluiceError | undefined;
}

type State = 'waiting' | 'running' | 'succeeded' | 'failed' | 'skipped';

/**
 * Runs the steps and resolves when none is under way any more.
 *
 * @throws the signal's reason when it fired, what `permit` threw, or a defect of the provider's pure part;
 *   what the other side refuses is data.
 */
export async function execute<Observed>(input: ExecuteInput<Observed>): Promise<Execution<Observed>> {
  return await new Run(input).finish();
}

class Run<Observed> {
  readonly #input: ExecuteInput<Observed>;
  readonly #states = new Map<string, State>();
  readonly #answers = new Map<string, Outputs>();
  readonly #running = new Set<Promise<void>>();
  readonly #done: { step: Step; parameters: Parameters; ms: number }[] = [];
  readonly #failed: { step: Step; error: SluiceError }[] = [];
  #observed: Observed;
  /** A step with a risk is under way: nothing else may start. */
  #alone = false;
  /** No further step is worth trying. */
  #ended = false;
  /** What `execute` has to throw. */
  #thrown: { readonly value: unknown } | undefined;

  constructor(input: ExecuteInput<Observed>) {
    this.#input = input;
    this.#observed = input.observed;
    for (const step of input.steps) this.#states.set(step.id, 'waiting');
  }

  async finish(): Promise<Execution<Observed>> {
    const { steps, signal } = this.#input;
    while (!this.#ended && !signal.aborted) {
      const step = this.#next();
      if (step !== undefined) this.#start(step);
      else if (this.#running.size > 0) await Promise.race(this.#running);
      else break;
    }
    await Promise.all(this.#running);
    if (this.#thrown !== undefined) throw this.#thrown.value;
    signal.throwIfAborted();
    return {
      observed: this.#observed,
      done: this.#done,
      failed: this.#failed,
      skipped: steps.filter(({ id }) => ['waiting', 'skipped'].includes(this.#stateOf(id))),
    };
  }

  /** A step that an absent id names was held or left out of the plan: as good as skipped. */
  #stateOf(id: string): State {
    return this.#states.get(id) ?? 'skipped';
  }

  /** The first step that may start now. */
  #next(): Step | undefined {
    if (this.#alone) return undefined;
    let allBeforeEnded = true;
    for (const step of this.#input.steps) {
      const state = this.#stateOf(step.id);
      if (state === 'running') allBeforeEnded = false;
      if (state !== 'waiting') continue;
      const needs = prerequisites(step).map((id) => this.#stateOf(id));
      if (needs.some((need) => need === 'failed' || need === 'skipped')) {
        this.#states.set(step.id, 'skipped');
        continue;
      }
      const ready = needs.every((need) => need === 'succeeded');
      if (step.risk !== 'none') return ready && allBeforeEnded ? step : undefined;
      if (ready) return this.#running.size < Math.max(1, this.#input.provider.parallel) ? step : undefined;
      allBeforeEnded = false;
    }
    return undefined;
  }

  #start(step: Step): void {
    this.#states.set(step.id, 'running');
    this.#alone = step.risk !== 'none';
    const running = this.#carryOut(step)
      .catch((value: unknown) => {
        // Only aborts, refused permits and defects come here: the first one is what the caller gets.
        this.#thrown ??= { value };
        this.#ended = true;
        this.#states.set(step.id, 'failed');
      })
      .finally(() => {
        if (step.risk !== 'none') this.#alone = false;
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async #carryOut(step: Step): Promise<void> {
    const { outputs } = await this.#attempt(step, { left: mostPieces });
    if (outputs === undefined) {
      this.#states.set(step.id, 'failed');
    } else {
      this.#answers.set(step.id, outputs);
      this.#states.set(step.id, 'succeeded');
    }
  }

  /** One call, and if it is refused the pieces in its place. */
  async #attempt(step: Step, budget: { left: number }): Promise<Attempted> {
    const { provider, signal, permit } = this.#input;
    const parameters = resolveRefs(step.parameters, this.#answers);
    if (parameters === undefined) {
      const message = `step ${step.id} refers to an answer that never came`;
      return this.#fail(step, new SluiceError('bug', message, { code: 'MissingAnswer' }));
    }
    permit?.();
    const result = await this.#call(step, parameters);
    signal.throwIfAborted();
    if (result.error === undefined) {
      this.#observed = provider.advance(this.#observed, step, parameters, result.outputs);
      this.#done.push({ step, parameters, ms: result.ms });
      return { outputs: result.outputs, lacking: undefined };
    }
    const { error } = result;
    const pieces =
      (error.kind === 'invalid' || error.kind === 'quota') && budget.left > 0
        ? provider.split(step, parameters, error)
        : undefined;
    if (pieces === undefined) return this.#fail(step, error);
    if (pieces.length === 0) return this.#giveUp(step, error);
    budget.left -= pieces.length;
    return await this.#pieces(pieces, budget);
  }

  async #pieces(pieces: readonly Step[], budget: { left: number }): Promise<Attempted> {
    let outputs: Outputs | undefined = {};
    let lacking: SluiceError | undefined;
    const lackingById = new Map<string, SluiceError>();
    for (const piece of pieces) {
      if (this.#ended) return { outputs: undefined, lacking };
      const before = piece.needs.map((id) => lackingById.get(id)).find((error) => error !== undefined);
      const part: Attempted =
        before === undefined ? await this.#attempt(piece, budget) : this.#giveUp(piece, before);
      if (part.lacking !== undefined) lackingById.set(piece.id, part.lacking);
      if (part.outputs !== undefined) this.#answers.set(piece.id, part.outputs);
      lacking ??= part.lacking;
      outputs =
        part.outputs === undefined || outputs === undefined ? undefined : { ...outputs, ...part.outputs };
    }
    return { outputs, lacking };
  }

  async #call(
    step: Step,
    parameters: Parameters,
  ): Promise<{ readonly ms: number; readonly outputs: Outputs; readonly error: SluiceError | undefined }> {
    const { provider, signal, clock, onStep } = this.#input;
    const started = clock.now();
    let outputs: Outputs = {};
    let error: SluiceError | undefined;
    try {
      outputs = await provider.apply(step, parameters, signal);
    } catch (thrown) {
      error = asSluiceError(thrown);
    }
    // What is to be deleted and is not there: that is what was wanted.
    if (error?.kind === 'gone' && (step.risk === 'destructive' || step.effect.kind === 'removeTargets')) {
      error = undefined;
    }
    const ms = clock.now() - started;
    onStep?.({ step, parameters, ms, error });
    return { ms, outputs, error };
  }

  #fail(step: Step, error: SluiceError): Attempted {
    this.#failed.push({ step, error });
    if (endsPlan(error)) this.#ended = true;
    return { outputs: undefined, lacking: error };
  }

  /** Reported like a failure; what needs the step goes on. */
  #giveUp(step: Step, error: SluiceError): Attempted {
    return { ...this.#fail(step, error), outputs: {} };
  }
}

/**
 * Whether going on would only meet the same again, or would build on what is not known.
 *
 * A refused permission for one action leaves the others; a credential that is not accepted at all does not,
 * which doors report as `denied` without an `action`.
 */
function endsPlan({ kind, action }: SluiceError): boolean {
  switch (kind) {
    case 'throttled':
    case 'ambiguous':
    case 'bug':
      return true;
    case 'denied':
      return action === undefined;
    case 'busy':
    case 'gone':
    case 'conflict':
    case 'transient':
    case 'quota':
    case 'invalid':
      return false;
  }
}
