/** One sentence of the contract, and how it is tried. */
import type { Driver } from './pass.ts';
import type { Given, Resource, Stage, Subject } from './stage.ts';

export interface Trial {
  readonly subject: Subject;
  readonly stage: Stage;
  readonly driver: Driver;
  /** The case at hand; the plainest one unless the behaviour asks for every case. */
  readonly given: Given;
}

export interface Behaviour {
  /** The sentence; facts that rule it out name it. */
  readonly name: string;
  readonly everyCase?: true;
  readonly run: (trial: Trial) => Promise<void>;
}

/** Resources that bear the mark of this Service. */
export function ownedBy(stage: Stage, { service }: Given, cluster: string): readonly Resource[] {
  return stage.resources().filter((one) => one.uid === service.uid && one.cluster === cluster);
}

export function labels(resources: readonly Resource[]): readonly string[] {
  return resources.map(({ label }) => label);
}

/** The same value with everything in it frozen: who writes to it is found out. */
export function frozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) frozen(part);
  }
  return value;
}

/** By its text form: wanted and steps are plain data. */
export function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
