/**
 * Rule texts that mean the same: versions of nft differ in a few spellings, and a difference in spelling must not be
 * taken for a difference in rules.
 */
const spellings: readonly (readonly [RegExp, string])[] = [
  [/\bmark set (?:meta )?mark or\b/g, 'mark set meta mark |'],
  [/\bmark set (?:meta )?mark xor\b/g, 'mark set meta mark ^'],
  [/\breject with icmpv?6?(?: type)? port-unreachable\b/g, 'reject'],
  [/\bpriority (?:dstnat|srcnat) ([+-]) (\d+)\b/g, 'priority $1$2'],
  [/\bset (?:0:0|0x0+)(?= |$)/g, 'set none'],
  [/\b0x0*([0-9a-f]+)\b/g, '0x$1'],
];

export function normal(rule: string): string {
  return spellings.reduce((text, [from, to]) => text.replaceAll(from, to), rule.trim());
}

export function sameRules(listed: readonly string[], wanted: readonly string[]): boolean {
  return (
    listed.length === wanted.length &&
    listed.every((rule, index) => {
      const other = wanted[index] ?? '';
      return rule === other || normal(rule) === normal(other);
    })
  );
}
