/** Which figures are taken: words behind `--`. The word `alone` leaves out kube-proxy, for quick runs while one works. */
import type { Mode } from './stage.ts';
import type { Size } from './world.ts';

export const rowNames = [
  'start',
  'first-load',
  'change',
  'create',
  'remove',
  'churn',
  'lost',
  'latency',
  'packets',
  'memory',
  'restart',
] as const;
export type RowName = (typeof rowNames)[number];

export const modes: readonly Mode[] = ['nftables', 'iptables'];

export const sizes: readonly Size[] = [
  { services: 2_000, endpoints: 10 },
  { services: 10_000, endpoints: 5 },
];

export interface Choice {
  readonly rows: ReadonlySet<RowName>;
  readonly modes: readonly Mode[];
  readonly sizes: readonly Size[];
  /** No kube-proxy is started beside. */
  readonly alone: boolean;
}

/** Words of one kind add up, a kind without words means all of it. @throws Error for a word that is none. */
export function selection(words: readonly string[]): Choice {
  const known: readonly string[] = [
    ...rowNames,
    ...modes,
    ...sizes.map(({ services }) => String(services)),
    'alone',
  ];
  const strange = words.filter((word) => !known.includes(word));
  if (strange.length > 0)
    throw new Error(`agent: there is no ${strange.join(', ')}; choose of ${known.join(', ')}`);
  const some = <Item>(all: readonly Item[], text: (item: Item) => string): readonly Item[] => {
    const named = all.filter((item) => words.includes(text(item)));
    return named.length === 0 ? all : named;
  };
  return {
    rows: new Set(some(rowNames, (name) => name)),
    modes: some(modes, (mode) => mode),
    sizes: some(sizes, ({ services }) => String(services)),
    alone: words.includes('alone'),
  };
}
