/** A bench's rows as text. */
import type { Goal, JudgedRow } from './bench.ts';

/** Three significant digits, and thousands kept whole. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return 'none';
  return Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toPrecision(3)));
}

function goalText(goal: Goal | undefined, unit: string): string {
  if (goal === undefined) return '';
  return goal.kind === 'times better'
    ? `${figure(goal.value)}× better`
    : `${goal.kind} ${figure(goal.value)} ${unit}`;
}

export function renderTable(rows: readonly JudgedRow[]): string {
  const cells = rows.map(({ what, unit, ours, peer, ratio, goal, met }) => [
    what,
    `${figure(ours)} ${unit}`,
    peer === undefined ? '' : `${peer.name}: ${figure(peer.value)} ${unit}`,
    ratio === undefined ? '' : `${figure(ratio)}×`,
    goalText(goal, unit),
    met === undefined ? '' : met ? 'yes' : 'NO',
  ]);
  const all = [['what', 'ours', 'beside', 'ratio', 'goal', 'met'], ...cells];
  const widths = [0, 1, 2, 3, 4, 5].map((index) => Math.max(...all.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  const rule = line(widths.map((width) => '-'.repeat(width)));
  const [head = [], ...body] = all;
  return `${[line(head), rule, ...body.map(line)].join('\n')}\n`;
}
