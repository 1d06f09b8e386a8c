/**
 * Our table asked of the kernel itself, without nft, which begins anew whenever somebody writes meanwhile and takes most
 * of its time for text.
 */
import { readDumps, type Dump } from './dump.ts';
import { dumpRequest, generationRequest } from './element-bytes.ts';
import { readElements, readingOf, type Reading } from './element-dump.ts';
import { readFrame, type RawFrame } from './frame.ts';
import type { SpawnPiped } from './process.ts';
import { askKernel } from './relay.ts';
import { inSlices } from './slices.ts';
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

const frameKinds = ['getChains', 'getSets', 'getRules'] as const;

/** @throws SluiceError where the kernel cannot be asked, or says what is not understood. */
export async function readRawFrame(
  start: SpawnPiped,
  words: Words,
): Promise<Pick<RawTable, 'frame' | 'interrupted'>> {
  const dumps = await ask(start, new Map(frameKinds.map((kind) => [kind, dumpRequest(words, kind)])));
  return { frame: frameOf(dumps), interrupted: wasInterrupted(dumps) };
}

/** @throws SluiceError where the kernel cannot be asked, or says what is not understood. */
export async function readRawTable(start: SpawnPiped, { words, sets }: TableShape): Promise<RawTable> {
  const readings = new Map<string, Reading>();
  const requests = new Map<string, Buffer>(frameKinds.map((kind) => [kind, dumpRequest(words, kind)]));
  for (const set of sets) {
    const reading = set.dynamic ? undefined : readingOf(set);
    if (reading === undefined) continue;
    readings.set(set.name, reading);
    requests.set(set.name, dumpRequest(words, 'getElements', set.name));
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

function wasInterrupted(dumps: ReadonlyMap<string, Dump>): boolean {
  return [...dumps.values()].some(({ interrupted }) => interrupted);
}

function frameOf(dumps: ReadonlyMap<string, Dump>): RawFrame {
  return readFrame(frameKinds.flatMap((kind) => dumps.get(kind)?.messages ?? []));
}

/** Asks again for what was interrupted; `each` is told every answer. */
async function ask(
  start: SpawnPiped,
  requests: ReadonlyMap<string, Buffer>,
  each: (name: string, dump: Dump) => Promise<void> = () => Promise.resolve(),
): Promise<ReadonlyMap<string, Dump>> {
  const found = new Map<string, Dump>();
  let names = [...requests.keys()];
  for (let tries = 0; tries < mostTries && names.length > 0; tries += 1) {
    const said = await askKernel(start, [
      generationRequest(),
      ...names.flatMap((name) => [requests.get(name) ?? [], generationRequest()].flat()),
    ]);
    const dumps = readDumps(said, names.length);
    for (const [index, name] of names.entries()) {
      const dump = dumps[index];
      if (dump === undefined) continue;
      found.set(name, dump);
      await each(name, dump);
    }
    names = names.filter((name) => found.get(name)?.interrupted === true);
  }
  return found;
}
