/**
 * Packets that two rules of the node's own have met: those that connection tracking calls invalid, and those to node ports
 * at 127.0.0.1. Read when somebody asks; they begin at 0 where the chain of the rule is written anew.
 *
 * One chain is asked for at a time: the nft variant fetches no other then, whatever the number of Services.
 */
import { SluiceError } from '../../core/errors.ts';
import type { PacketCounts } from '../backend.ts';
import { nodeChains, type Layout } from './layout.ts';
import { chain } from './names.ts';
import { program, run, type Spawn, type Variant } from './programs.ts';

type Wanted = (rule: string) => boolean;

const invalid: Wanted = (rule) => rule.includes('--ctstate INVALID ') && rule.endsWith('-j DROP');
const localhost: Wanted = (rule) =>
  rule.startsWith('-d 127.0.0.0/8 ') && rule.endsWith(` -g ${chain.nodePorts}`);

/** @throws SluiceError where the kernel cannot be read. */
export async function packetCounts(spawn: Spawn, variant: Variant, layout: Layout): Promise<PacketCounts> {
  const met = async (wanted: Wanted): Promise<number | undefined> => {
    const found = [...nodeChains(layout)].find(([, { rules }]) => rules.some(wanted));
    if (found === undefined) return undefined;
    const [name, { table }] = found;
    const args = ['-w', '5', '-t', table, '-v', '-S', name];
    const { code, out, error } = await run(spawn, program(variant, layout.family, ''), args);
    if (code !== 0) {
      throw new SluiceError('transient', `packets of ${name} could not be read: ${error}`, {
        code: 'KernelUnreadable',
      });
    }
    return packetsOf(out, name, wanted);
  };
  const [invalidDropped, toLocalhost] = await Promise.all([met(invalid), met(localhost)]);
  return { invalidDropped, toLocalhost };
}

/** @param out of `iptables -v -S CHAIN`: rules with `-c PACKETS BYTES` before what they do. */
export function packetsOf(out: string, name: string, wanted: Wanted): number | undefined {
  for (const line of out.split('\n')) {
    const [, packets] = / -c (\d+) \d+/u.exec(line) ?? [];
    const rule = line.replace(/ -c \d+ \d+/u, '').slice(`-A ${name} `.length);
    if (packets !== undefined && wanted(rule)) return Number(packets);
  }
  return undefined;
}
