/**
 * Our table asked of the kernel itself, without nft, which begins anew whenever somebody writes meanwhile and takes most
 * of its time for text.
 */
import { askKernel } from '../netlink/ask.ts';
import { notUnderstood, readDumps, type Dump } from '../netlink/dump.ts';
import { dumpRequest, generationRequest, oneRequest } from './element-bytes.ts';
import { readElements, readingOf, type Reading } from './element-dump.ts';
import { readFrame, type RawFrame } from './frame.ts';
import type { SpawnPiped } from './process.ts';
import { inSlices } from '../slices.ts';
import type { TableShape } from './table.ts';
import type { Words } from './words.ts';

export interface RawTable {
  readonly frame: RawFrame;
  /** By set, key to value; not of those that packets fill. */
  readonly elements: ReadonlyMap<string, Map<string, string>>;
  /** Somebody wrote all the time: an element may be missing, though it is there. */
  readonly interrupted: boolean;
}

/** What is written while something is listed leaves doubts: it is asked for so often. */
const mostTries = 4;

/** Names of the chains that there should be. */
export type ChainNames = Iterable<string>;

/** @throws SluiceError where the kernel cannot be asked, or says what is not understood. */
export async function readRawFrame(
  start: SpawnPiped,
  words: Words,
  chains: ChainNames,
): Promise<Pick<RawTable, 'frame' | 'interrupted'>> {
  const dumps = await ask(start, new Map([[frameGroup, frameRequests(words, chains)]]));
  return { frame: frameOf(dumps), interrupted: wasInterrupted(dumps) };
}

/** @throws SluiceError where the kernel cannot be asked, or says what is not understood. */
export async function readRawTable(
  start: SpawnPiped,
  { words, sets }: TableShape,
  chains: ChainNames,
): Promise<RawTable> {
  const readings = new Map<string, Reading>();
  const requests = new Map([[frameGroup, frameRequests(words, chains)]]);
  for (const set of sets) {
    if (set.dynamic) continue;
    const reading = readingOf(set);
    if (reading === undefined) throw notUnderstood(`elements of ${set.name}`);
    readings.set(set.name, reading);
    requests.set(set.name, [dumpRequest(words, 'getElements', set.name)]);
  }
  const elements = new Map<string, Map<string, string>>();
  const dumps = await ask(start, requests, async (name, { messages }) => {
    const reading = readings.get(name);
    if (reading === undefined) return;
    const found = await inSlices(readElements(messages, reading));
    // What one try has missed another has seen.
    for (const [key, value] of elements.get(name) ?? []) if (!found.has(key)) found.set(key, value);
    elements.set(name, found);
  });
  return { frame: frameOf(dumps), elements, interrupted: wasInterrupted(dumps) };
}

/** No name of a set. */
const frameGroup = '';

/** Chains by their names: of all at once the kernel gives those of everybody's tables. */
function frameRequests(words: Words, chains: ChainNames): Buffer[] {
  return [
    oneRequest(words),
    ...Array.from(chains, (name) => oneRequest(words, name)),
    dumpRequest(words, 'getSets'),
    dumpRequest(words, 'getRules'),
  ];
}

function frameOf(dumps: ReadonlyMap<string, Dump>): RawFrame {
  return readFrame(dumps.get(frameGroup)?.messages ?? []);
}

function wasInterrupted(dumps: ReadonlyMap<string, Dump>): boolean {
  return [...dumps.values()].some(({ interrupted }) => interrupted);
}

/** Asks again for each group that was interrupted; `each` is told every answer. */
async function ask(
  start: SpawnPiped,
  groups: ReadonlyMap<string, readonly Buffer[]>,
  each: (name: string, dump: Dump) => Promise<void> = () => Promise.resolve(),
): Promise<ReadonlyMap<string, Dump>> {
  const found = new Map<string, Dump>();
  let left = [...groups];
  for (let tries = 0; tries < mostTries && left.length > 0; tries += 1) {
    const generation = generationRequest();
    const said = await askKernel(start, [
      generation,
      ...left.flatMap(([, requests]) => [...requests, generation]),
    ]);
    const dumps = readDumps(
      said,
      left.map(([, requests]) => requests.length),
    );
    for (const [index, [name]] of left.entries()) {
      const dump = dumps[index];
      if (dump === undefined) continue;
      found.set(name, dump);
      await each(name, dump);
    }
    left = left.filter(([name]) => found.get(name)?.interrupted === true);
  }
  return found;
}
