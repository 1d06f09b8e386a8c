/**
 * What can be taken out of a chain before the chain is written anew: the rules to endpoints that are gone.
 *
 * The kernel walks through every rule that a table's base chains lead to whenever a rule comes, some 45 ms of its time
 * with 50,000 rules, and does not when rules only go. So the rules to removed endpoints go first, in a commit of their own,
 * and no new connection waits for the walk. Until the chain is written anew the shares of the other endpoints are uneven.
 *
 * Invariant: a rule that takes whatever the others left stays, so every packet still finds an endpoint. For that, a chain
 * ends with several such rules, to different endpoints: any may go while one stays. Where all of them lead to endpoints that
 * are gone, the last one stays, and only it, until the chain is written anew: all other endpoints lose their rules.
 */
import type { Table } from './layout.ts';

/** Where a rule sends to: an endpoint, or the chain of one. Undefined for every other rule. */
const toEndpoint = /-j (?:DNAT --to-destination (\S+)|(SLUICE-SEP-\S+))$/u;

/** What a rule that takes only some of the packets asks for. */
const asks = / ?-m (?:statistic|bpf|recent) /u;

/** Rules of a chain that may go ahead of its rewriting; never all for all packets, and none where no endpoint stays. */
export function goAhead(before: readonly string[], after: readonly string[]): readonly string[] {
  const kept = new Set(after.map(endpointOf));
  const goes = (rule: string): boolean => {
    const endpoint = endpointOf(rule);
    return endpoint !== undefined && !kept.has(endpoint);
  };
  const gone = before.filter(goes);
  const last = before.findLast((rule) => !goes(rule));
  if (last === undefined) return [];
  if (!asks.test(last)) return gone;
  const rest = gone.findLast((rule) => !asks.test(rule));
  return rest === undefined ? [] : gone.filter((rule) => rule !== rest);
}

function endpointOf(rule: string): string | undefined {
  const found = toEndpoint.exec(rule);
  return found?.[1] ?? found?.[2];
}

/** A commit that deletes rules and nothing else; empty where there are none. */
export function deletions(table: Table, rules: ReadonlyMap<string, readonly string[]>): string {
  const lines = [...rules].flatMap(([chain, gone]) => gone.map((rule) => `-D ${chain} ${rule}`));
  return lines.length === 0 ? '' : `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
}
