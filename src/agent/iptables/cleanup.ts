/** Takes everything of ours out of the kernel, and nothing else: jumps first, then our chains, then our ipsets. */
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import { ipsetFamily, prefix } from './names.ts';
import { makeTools, type Refusal, type Spawn, type Variant } from './programs.ts';
import { readTables } from './saved.ts';
import { RestoreText } from './text.ts';

/** Chains deleted with one COMMIT on the nft variant. */
const chainsInCommit = 200;

/**
 * Removes our rules and ipsets of one family from one variant. Packets of ours are no longer translated from the first
 * step on, connections that exist go on.
 *
 * @returns how many jumps, chains and sets there were.
 * @throws SluiceError where the tools refuse.
 */
export async function cleanUp(
  spawn: Spawn,
  variant: Variant,
  family: IpFamily,
  { keepSets = false }: { readonly keepSets?: boolean } = {},
): Promise<number> {
  const tools = makeTools(spawn, variant, family);
  const { chains, jumps } = readTables(await tools.save());
  const texts: string[] = [];
  const first = new RestoreText();
  for (const { table, from, rule } of jumps) first.line(table, `-D ${from} ${rule}`);
  for (const id of chains.keys()) first.chain(id, []);
  texts.push(first.toString());
  let text = new RestoreText();
  let count = 0;
  for (const id of chains.keys()) {
    text.chain(id, undefined);
    count += 1;
    if (variant === 'nft' && count % chainsInCommit === 0) {
      texts.push(text.toString());
      text = new RestoreText();
    }
  }
  texts.push(text.toString());
  if (jumps.length + chains.size > 0) refuse(await tools.restore(texts.filter((part) => part !== '')));

  const sets = keepSets ? [] : ourSets(await tools.saveSets(), family);
  refuse(await tools.sets(sets.map((name) => `destroy ${name}`)));
  return jumps.length + chains.size + sets.length;
}

function refuse(refusal: Refusal | undefined): void {
  if (refusal === undefined) return;
  throw new SluiceError('transient', `cannot remove our rules: ${refusal.message}`, {
    code: 'CleanupRefused',
    cause: refusal,
  });
}

function ourSets(saved: string, family: IpFamily): string[] {
  return saved
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([verb, name = '']) => verb === 'create' && name.startsWith(prefix))
    .filter((words) => words[words.indexOf('family') + 1] === ipsetFamily(family))
    .map(([, name = '']) => name);
}
