/**
 * A look at the kernel that nobody's writes hold up: the listing tools begin anew at every transaction, and with several
 * a second and thousands of rules they never end.
 *
 * The kernel is asked chain by chain where its rules lead. What the rules ask for besides is left to the look of a quiet
 * time. Only what is found twice is a difference: a list may be cut by a change elsewhere.
 */
import { endianness } from 'node:os';
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { Difference } from '../backend.ts';
import type { DecisionKey } from '../decision.ts';
import { askPiecewise } from '../netlink/ask.ts';
import { MessageStream } from '../netlink/dump.ts';
import { inSlices } from '../slices.ts';
import { setDifferences } from './differences.ts';
import type { ChainId } from './delta.ts';
import { readOwnSets } from './held.ts';
import { jumps } from './layout.ts';
import {
  chainsRequest,
  leadOf,
  LeadReader,
  leadsAsWritten,
  ourChain,
  rulesRequest,
  type Lead,
} from './leads.ts';
import type { Model } from './model.ts';
import type { Spawn, Tools } from './programs.ts';
import { nameOf, tableOf } from './text.ts';
import type { Touched } from './touched.ts';

export interface BesideOptions {
  readonly model: Model;
  readonly touched: Touched;
  readonly spawn: Spawn;
  readonly tools: Pick<Tools, 'family' | 'saveSets'>;
}

/** A chain that is not as it was written. */
interface Suspect {
  readonly id: ChainId;
  readonly difference: Difference;
}

/** @throws SluiceError transient where the kernel cannot be asked. */
export async function differencesBeside(options: BesideOptions): Promise<readonly Difference[]> {
  if (endianness() !== 'LE')
    throw new SluiceError('transient', 'the answers of a kernel of this byte order are not read', {
      code: 'NotListed',
    });
  const [chains, sets] = await Promise.all([suspects(options), entries(options)]);
  if (chains.length + sets.length === 0) return [];
  const again = await Promise.all([
    chains.length === 0 ? [] : suspects(options, new Set(chains.map(({ id }) => id))),
    sets.length === 0 ? [] : entries(options),
  ]);
  const found = [...chains.map(({ difference }) => difference), ...sets];
  const twice = new Set([...again[0].map(({ difference }) => difference), ...again[1]].map(textOf));
  return found.filter((difference) => twice.has(textOf(difference)));
}

function textOf({ kind, object }: Difference): string {
  return `${kind} ${object}`;
}

async function entries({ model, touched, tools }: BesideOptions): Promise<readonly Difference[]> {
  return setDifferences(model, await readOwnSets(tools), touched);
}

/** @param only these chains; by default all that are there or should be. */
async function suspects(options: BesideOptions, only?: ReadonlySet<ChainId>): Promise<readonly Suspect[]> {
  const { model, spawn, touched, tools } = options;
  const { family } = tools;
  const there = await ourChains(spawn, family);
  const asked = only === undefined ? [...there, ...feet] : [...only];
  const leads = await leadsOf(spawn, family, asked);
  return await inSlices(compare({ model, touched, there, leads, only }));
}

/** Chains of the kernel's that jumps into ours stand in. */
const feet: readonly ChainId[] = jumps.map(({ table, from }) => `${table} ${from}` as const);

function* compare({
  model,
  touched,
  there,
  leads,
  only,
}: Pick<BesideOptions, 'model' | 'touched'> & {
  readonly there: ReadonlySet<ChainId>;
  readonly leads: ReadonlyMap<string, readonly Lead[]>;
  readonly only: ReadonlySet<ChainId> | undefined;
}): Generator<undefined, readonly Suspect[]> {
  const found: Suspect[] = [];
  const unknown = new Set(there);
  const judge = (id: ChainId, rules: readonly string[], key: DecisionKey | undefined): void => {
    unknown.delete(id);
    if (only?.has(id) === false || touched.chain(id)) return;
    const object = `${tableOf(id)} chain ${nameOf(id)}`;
    if (!there.has(id)) found.push({ id, difference: { kind: 'missing', object, key } });
    else if (!leadsAsWritten(leads.get(id) ?? [], rules)) {
      found.push({ id, difference: { kind: 'different', object: `${object}: where its rules lead`, key } });
    }
  };
  for (const [key, chains] of model.serviceChains()) {
    for (const [id, rules] of chains) judge(id, rules, key);
    yield;
  }
  for (const [id, rules] of model.sharedChains()) judge(id, rules, undefined);
  for (const id of unknown) {
    if (only?.has(id) === false || touched.chain(id)) continue;
    const object = `${tableOf(id)} chain ${nameOf(id)}`;
    found.push({ id, difference: { kind: 'unexpected', object, key: undefined } });
  }
  for (const { table, from, rule } of jumps) {
    const id = `${table} ${from}` as const;
    if (only?.has(id) === false || leads.get(id)?.includes(leadOf(rule)) === true) continue;
    const object = `${table} rule -A ${from} ${rule}`;
    found.push({ id, difference: { kind: 'missing', object, key: undefined } });
  }
  return found;
}

async function ourChains(spawn: Spawn, family: IpFamily): Promise<ReadonlySet<ChainId>> {
  const found = new Set<ChainId>();
  const stream = new MessageStream((message) => {
    const id = ourChain(message);
    if (id !== undefined) found.add(id);
  });
  await askPiecewise(spawn, [chainsRequest(family)], stream.take);
  stream.end();
  return found;
}

async function leadsOf(
  spawn: Spawn,
  family: IpFamily,
  ids: readonly ChainId[],
): Promise<ReadonlyMap<string, readonly Lead[]>> {
  const reader = new LeadReader(family);
  const stream = new MessageStream(reader.take);
  await askPiecewise(
    spawn,
    ids.map((id) => rulesRequest(family, id)),
    stream.take,
  );
  stream.end();
  return reader.chains;
}
