/**
 * Steps with the parameters of SLB's own operations, checked by the compiler against the client's types.
 */
import type { Effect, Parameters, Plan, Ref, Risk, Step, Wait } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { SlbInput, SlbOperation } from './operations.ts';

/** An operation's input in which a reference may stand for any text. */
export type Planned<Value> = Value extends string
  ? Value | Ref
  : Value extends readonly (infer Element)[]
    ? readonly Planned<Element>[]
    : Value extends object
      ? { readonly [Field in keyof Value]: Planned<Value[Field]> }
      : Value;

export interface Call<Operation extends SlbOperation> {
  readonly id: string;
  readonly parameters: Planned<SlbInput<Operation>>;
  readonly subject: string;
  readonly reason: string;
  readonly risk: Risk;
  readonly effect?: Effect;
  readonly needs?: readonly string[];
}

/** A plan in the making: the parts of the plan add to it in order. */
export interface Planning {
  readonly steps: Step[];
  readonly waits: Wait[];
  readonly problems: Problem[];
  readonly memory: Record<string, number>;
  /** Of a removal: what stays on purpose. */
  kept: string | undefined;
}

export function emptyPlanning(): Planning {
  return { steps: [], waits: [], problems: [], memory: {}, kept: undefined };
}

export function asPlan({ steps, waits, problems, memory, kept }: Planning): Plan {
  return { steps, waits, problems, memory, ...(kept === undefined ? {} : { kept }) };
}

/** @returns the step's id, for those that need it. */
export function addStep<Operation extends SlbOperation>(
  planning: Planning,
  operation: Operation,
  { id, parameters, subject, reason, risk, effect = { kind: 'other' }, needs = [] }: Call<Operation>,
): string {
  planning.steps.push({
    id,
    operation,
    // Absent and undefined are the same to the API, and a plan is plain data.
    parameters: JSON.parse(JSON.stringify(parameters)) as Parameters,
    subject,
    reason,
    risk,
    effect,
    needs: [...new Set(needs)],
  });
  return id;
}

export function chunks<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  const parts: Item[][] = [];
  for (let i = 0; i < items.length; i += size) parts.push(items.slice(i, i + size));
  return parts;
}

export function chunkId(id: string, index: number): string {
  return index === 0 ? id : `${id}.${index + 1}`;
}
