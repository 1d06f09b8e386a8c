/** Whether this node can hold an address, as the others have to know it: they pass over one that says that it cannot. */
import type { AddressFacts } from './facts.ts';

/**
 * The word that is to be said; undefined where it has been said. `unable` only about addresses that matter, `able`
 * whenever `unable` was said and is not true any more.
 *
 * @param given.concerned this node is one of those that might hold it, and knows everything.
 */
export function abilityToTell(given: {
  readonly able: boolean;
  readonly said: 'able' | 'unable';
  readonly concerned: boolean;
  readonly facts: Pick<AddressFacts, 'wanted' | 'asked'> | undefined;
}): 'able' | 'unable' | undefined {
  const { able, said, concerned, facts } = given;
  if (able) return said === 'unable' ? 'able' : undefined;
  const matters = facts !== undefined && (facts.wanted || facts.asked);
  return said === 'able' && concerned && matters ? 'unable' : undefined;
}
