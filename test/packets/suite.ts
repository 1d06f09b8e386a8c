/**
 * The suite that every programmer of a node has to pass: all cases and stories, each in both families.
 *
 * The tests of one group of settings share a programmer, and all share a bed.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { cases } from './cases.ts';
import type { Case, Reference, Settings } from './cases/row.ts';
import { checkRow, prepareBed, type MakeProgrammer, type Programmer } from './check.ts';
import { hairpinStories } from './stories-hairpin.ts';
import { markStories } from './stories-marks.ts';
import { moreStories } from './stories-more.ts';
import { rawStories } from './stories-raw.ts';
import { choiceStories } from './stories-choice.ts';
import { pathStories } from './stories-path.ts';
import { sctpStories } from './stories-sctp.ts';
import { trackedStories } from './stories-tracked.ts';
import type { Story } from './stories.ts';
import { Atlas, type World } from './world.ts';

export interface SuiteOptions {
  readonly name: string;
  /** Whose deviations are expected; undefined where there may be none. */
  readonly reference?: Reference;
  /** The variant of iptables that writes the rules; undefined where nft does. */
  readonly iptables?: 'nft' | 'legacy';
  readonly make: MakeProgrammer;
  /** Nobody cleans the connection tracking table: stories about that are not its own. */
  readonly rulesOnly?: true;
  /** Is called once with the bed of the suite. */
  readonly prepare?: (bed: Bed) => Promise<void>;
}

const families = ['IPv4', 'IPv6'] as const;

type Item = (
  | { readonly kind: 'case'; readonly name: string; readonly given: Case }
  | { readonly kind: 'story'; readonly name: string; readonly given: Story }
) & { readonly block: number; readonly settings: Settings };

const items: readonly Item[] = [
  ...cases.map((given) => ({ kind: 'case', name: given.name, given }) as const),
  ...[
    ...trackedStories,
    ...choiceStories,
    ...pathStories,
    ...markStories,
    ...rawStories,
    ...sctpStories,
    ...moreStories,
    ...hairpinStories,
  ].map((given) => ({ kind: 'story', name: `${given.rule}: ${given.says}`, given }) as const),
].map((item, block) => ({ ...item, block, settings: item.given.settings ?? {} }));

const groups = [...Map.groupBy(items, ({ settings }) => JSON.stringify(settings)).entries()];

/** Declares the tests. */
export function packetSuite(options: SuiteOptions): void {
  describe(options.name, () => {
    let bed: Bed;

    beforeAll(async () => {
      bed = await Bed.make();
      await prepareBed(bed);
      await options.prepare?.(bed);
    });
    afterAll(() => bed.remove());

    describe.each(groups)('%s', (_, members) => {
      let programmer: Programmer;

      beforeAll(async () => {
        programmer = await options.make(bed, members[0]?.settings ?? {});
      });
      afterAll(() => programmer.close());

      const declared = members.filter((item) => item.kind === 'case' || concerns(item.given, options));
      test.each(declared)('$name', async (item) => {
        const wrong =
          item.kind === 'case'
            ? await runCase(bed, programmer, item.given, item.block, options)
            : await runStory(bed, programmer, item.given, item.block, options);
        const known = item.kind === 'story' && options.reference && item.given.fails?.[options.reference];
        // A known failure that has gone is news too.
        if (known) expect(wrong, `no longer so: ${known}`).not.toEqual([]);
        else expect(wrong).toEqual([]);
      });
    });
  });
}

function concerns({ only, ours, tracked }: Story, { reference, rulesOnly }: SuiteOptions): boolean {
  if (ours === true && reference !== undefined) return false;
  if (tracked === true && rulesOnly === true) return false;
  return only === undefined || (reference !== undefined && only.includes(reference));
}

async function runCase(
  bed: Bed,
  programmer: Programmer,
  given: Case,
  block: number,
  { reference }: SuiteOptions,
): Promise<string[]> {
  const atlas = new Atlas(bed.topology, given.world, block);
  const owned = (given.owns ?? []).flatMap(({ at, of }) =>
    families.map((family) => `${atlas.address(of, at, family)} dev lo`),
  );
  if (owned.length > 0) {
    await bed.ip('n1', ...owned.map((line) => `addr add ${line}`));
    onTestFinished(() => bed.ip('n1', ...owned.map((line) => `addr del ${line}`)));
  }
  await programmer.become(atlas, given.owns);
  // Side by side: much of the time is waiting for silence.
  const checked = given.rows.flatMap((row) => {
    const expected = (reference && row.differs?.[reference]?.expect) ?? row.expect;
    return (row.families ?? families).map(async (family) => {
      const found = await checkRow(bed, atlas, row, expected, family);
      return found.map((text) => `${row.rule} ${family} ${row.from}: ${row.says}: ${text}`);
    });
  });
  return (await Promise.all(checked)).flat();
}

async function runStory(
  bed: Bed,
  programmer: Programmer,
  story: Story,
  block: number,
  { iptables }: SuiteOptions,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const family of story.families ?? families) {
    const atlas = new Atlas(bed.topology, story.world, block);
    await programmer.become(atlas);
    const become = (world: World): Promise<void> => programmer.become(new Atlas(bed.topology, world, block));
    const found = await story.run({ bed, atlas, family, become, iptables });
    wrong.push(...found.map((text) => `${family}: ${text}`));
  }
  return wrong;
}
