/**
 * Why a table was refused as a whole: a piece of nftables that this node lacks, or decisions that the kernel will not have.
 *
 * A failed transaction has changed nothing, so it can be taken apart until the decision that is at fault stands alone.
 */
import { clashes, type Layout } from './layout.ts';
import { Ledger } from './ledger.ts';
import { hasFullyRandom, missingPiece, refused } from './probes.ts';
import { tableShape, type Features } from './table.ts';
import { chunks, wholeTable } from './text.ts';
import { wordsOf } from './words.ts';
import type { Quarantined } from '../backend.ts';
import type { Decision, DecisionKey, NodeDecision } from '../decision.ts';

/** So many refused decisions are no accident of theirs: the table itself is refused. */
const mostBad = 50;

export interface Question {
  readonly node: NodeDecision;
  readonly layout: Layout;
  readonly decisions: readonly Decision[];
  /** Takes those that are at fault. */
  readonly bad: Map<DecisionKey, Quarantined>;
  /** What nft said. */
  readonly error: string;
  readonly features: Features;
  /** Asks nft whether it would take a text; empty where it would. */
  readonly check: (text: Iterable<string>) => Promise<string>;
}

/**
 * @returns the features to write with from now on.
 * @throws SluiceError where a piece of nftables is missing on this node, or no reason is found.
 */
export async function diagnose(question: Question): Promise<Features> {
  const { node, layout, decisions, bad, error, check } = question;
  let { features } = question;
  const words = wordsOf(node.family);
  const whole = (some: readonly Decision[]): Iterable<string> =>
    chunks(wholeTable(tableShape(node, features), new Ledger(layout), some, () => undefined));
  if ((await check(whole([]))) !== '') {
    if (features.fullyRandom && !(await hasFullyRandom(words, (text) => check([text])))) {
      features = { ...features, fullyRandom: false };
      if ((await check(whole([]))) === '') return features;
    }
    throw (await missingPiece(words, (text) => check([text]))) ?? refused(error);
  }
  const known = bad.size;
  // Seen without asking the kernel, which would have to be asked for ever smaller parts of the whole.
  for (const refusedOne of clashes(layout, decisions)) bad.set(refusedOne.key, refusedOne);
  if (bad.size > known) return features;
  /** @returns those of `some` that are taken together with `base`. */
  const search = async (
    base: readonly Decision[],
    some: readonly Decision[],
  ): Promise<readonly Decision[]> => {
    const against = await check(whole([...base, ...some]));
    const [only] = some;
    if (against === '' || only === undefined) return some;
    if (bad.size - known > mostBad) throw refused(against);
    if (some.length === 1) {
      bad.set(only.key, { key: only.key, message: against });
      return [];
    }
    const middle = Math.ceil(some.length / 2);
    const left = await search(base, some.slice(0, middle));
    const right = await search(isolated ? [] : [...base, ...left], some.slice(middle));
    return [...left, ...right];
  };
  // Each by itself first: small texts, quick answers. Then two that cannot stand together.
  let isolated = true;
  await search([], decisions);
  if (bad.size > known) return features;
  isolated = false;
  await search([], decisions);
  if (bad.size === known) throw refused(error);
  return features;
}
