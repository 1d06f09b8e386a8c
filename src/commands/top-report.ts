/** The table of `sluice top`: which rows, in which order, with what in them (pure). */
import { dropReasons } from '../agent/counters/layout.ts';
import type { CounterRow } from '../agent/counters/rows.ts';
import { byText } from '../agent/decide/addresses.ts';
import { portText, type CountsReport } from './agent-counters.ts';
import type { TopOrder } from './top.ts';

export interface TopChoice {
  readonly sort: TopOrder;
  /** Text that namespace/name must contain; empty: any. */
  readonly filter: string;
  /** Empty: any. */
  readonly namespace: string;
  /** Only rows that have dropped something. */
  readonly dropped: boolean;
  /** 0: all. */
  readonly limit: number;
}

export interface TopRow extends CounterRow {
  /** New connections per second since the look before; null where there was none. */
  readonly rate: number | null;
  /** Dropped ones likewise. */
  readonly dropRate: number | null;
}

/** A look, and the one before with the time between the two. */
export interface Looks {
  readonly now: CountsReport;
  readonly before: CountsReport | undefined;
  readonly seconds: number;
}

export function droppedOf({ dropped }: Pick<CounterRow, 'dropped'>): number {
  return dropReasons.reduce((sum, reason) => sum + dropped[reason], 0);
}

function idOf({ service, port, family }: CounterRow): string {
  return `${service} ${port.name} ${port.number} ${port.protocol} ${family}`;
}

/** The rows that were asked for, in order; equal ones by name. */
export function topRows({ now, before, seconds }: Looks, choice: TopChoice): readonly TopRow[] {
  const earlier = new Map((before?.services ?? []).map((row) => [idOf(row), row]));
  const perSecond = (is: number, was: number | undefined): number | null =>
    before === undefined || seconds <= 0 ? null : Math.max(0, is - (was ?? 0)) / seconds;
  const rows = now.services
    .filter(({ service }) => service.includes(choice.filter))
    .filter(({ service }) => choice.namespace === '' || service.startsWith(`${choice.namespace}/`))
    .filter((row) => !choice.dropped || droppedOf(row) > 0)
    .map((row): TopRow => {
      const was = earlier.get(idOf(row));
      const dropRate = perSecond(droppedOf(row), was && droppedOf(was));
      return { ...row, rate: perSecond(row.connections, was?.connections), dropRate };
    });
  const weight = (row: TopRow): number => {
    switch (choice.sort) {
      case 'rate':
        return row.rate ?? row.connections;
      case 'connections':
        return row.connections;
      case 'dropped':
        return droppedOf(row);
      case 'bytes':
        return row.bytes === null ? 0 : row.bytes.in + row.bytes.out;
      case 'name':
        return 0;
    }
  };
  const sorted = rows.toSorted((a, b) => weight(b) - weight(a) || byText(idOf(a), idOf(b)));
  return choice.limit === 0 ? sorted : sorted.slice(0, choice.limit);
}

/** Lines of the table, its head first. */
export function topTable(
  { node, counting }: Pick<CountsReport, 'node' | 'counting'>,
  rows: readonly TopRow[],
): readonly string[] {
  const bytes = counting === 'bytes';
  const titles = [
    'SERVICE',
    'PORT',
    'FAMILY',
    'CONNECTIONS',
    'PER S',
    'NO ENDPOINT',
    'NOT HERE',
    'NOT ALLOWED',
  ];
  const head = bytes ? [...titles, 'IN', 'OUT'] : titles;
  const cells = rows.map((row) => [
    row.service,
    portText(row),
    row.family,
    String(row.connections),
    row.rate === null ? '-' : rateText(row.rate),
    ...dropReasons.map((reason) => String(row.dropped[reason])),
    ...(bytes ? [bytesText(row.bytes?.in ?? 0), bytesText(row.bytes?.out ?? 0)] : []),
  ]);
  const wide = head.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const line = (parts: readonly string[]): string =>
    parts
      .map((part, column) => (column < 3 ? part.padEnd(wide[column] ?? 0) : part.padStart(wide[column] ?? 0)))
      .join('  ')
      .trimEnd();
  const none = rows.length === 0 ? [`no port of a Service on node ${node} answers to that`] : [];
  return [line(head), ...cells.map(line), ...none];
}

function rateText(rate: number): string {
  return rate >= 100 ? String(Math.round(rate)) : rate.toFixed(1);
}

/** `1.4 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return unit === 'B' ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}
