/**
 * The rules that a packet met, as iptables writes them. The kernel knows the rules of iptables-nft as those of
 * nf_tables, and `nft` cannot say all of them (`xt match set …`). Both tools list the rules of a chain in the same
 * order, so a rule's handle, which the trace gives, has a place in one list and its text in the other.
 *
 * Where that cannot be done (no iptables-nft, a table of another program, a chain that changes meanwhile) a step keeps
 * what `nft` calls it.
 */
import type { IpFamily } from '../../core/objects.ts';
import { asSluiceError } from '../../core/errors.ts';
import type { RunTool } from '../tool.ts';
import type { RuleText, TraceStep } from './trace.ts';

const tablesOfIptables: ReadonlySet<string> = new Set(['raw', 'mangle', 'nat', 'filter', 'security']);

/** The texts of the rules of all chains that a walk went through. */
export async function iptablesTexts(
  steps: readonly TraceStep[],
  family: IpFamily,
  run: RunTool,
): Promise<RuleText> {
  const texts = new Map<string, string>();
  const seen = new Set<string>();
  for (const { table, chain, handle } of steps) {
    const at = `${table} ${chain}`;
    const [header = '', name = ''] = table.split(' ');
    const mine = header === (family === 'IPv4' ? 'ip' : 'ip6') && tablesOfIptables.has(name);
    if (handle === null || !mine || seen.has(at)) continue;
    seen.add(at);
    const listed = await output(run, 'nft', ['-a', 'list', 'chain', header, name, chain]);
    const program = family === 'IPv4' ? 'iptables-nft' : 'ip6tables-nft';
    const saved = await output(run, program, ['-t', name, '-S', chain]);
    const handles = handlesOf(listed);
    const rules = saved.split('\n').filter((line) => line.startsWith('-A '));
    if (handles.length !== rules.length) continue;
    handles.forEach((one, i) => texts.set(`${at} ${one}`, rules[i] ?? ''));
  }
  return (table, chain, handle) => texts.get(`${table} ${chain} ${handle}`);
}

/** Of the rules in `nft -a list chain`, in order. */
export function handlesOf(listing: string): readonly number[] {
  return listing.split('\n').flatMap((line) => {
    const [, handle] = /^\t\t.* # handle (\d+)$/u.exec(line) ?? [];
    return handle === undefined ? [] : [Number(handle)];
  });
}

/** Empty where the tool is missing or refuses. */
async function output(run: RunTool, program: string, args: readonly string[]): Promise<string> {
  try {
    const { code, out } = await run(program, args);
    return code === 0 ? out : '';
  } catch (thrown) {
    if (asSluiceError(thrown).kind === 'invalid') return '';
    throw thrown;
  }
}
