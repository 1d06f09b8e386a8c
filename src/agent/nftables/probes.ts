/**
 * What this kernel and this nft understand, asked piece by piece with `nft --check`, which changes nothing. Asked only
 * after the table was refused as a whole, so that a node where all is well pays nothing for it.
 */
import { SluiceError } from '../../core/errors.ts';
import type { Words } from './words.ts';

interface Piece {
  readonly name: string;
  /** Kernel and nft that have it. */
  readonly since: string;
  /** Lines inside a table. */
  readonly text: (words: Words) => string;
}

const rows = ({ address }: Words): string =>
  `map m { type ${address} . inet_proto . inet_service . classid : ${address} . inet_service\n }`;

const nat = (at: 'prerouting' | 'postrouting', rule: string): string =>
  `chain c { type nat hook ${at} priority ${at === 'prerouting' ? -105 : 95};\n ${rule}\n }`;

const pieces: readonly Piece[] = [
  { name: 'tables', since: 'nf_tables', text: () => '' },
  {
    name: 'nat chains',
    since: 'nft_chain_nat',
    text: () => nat('prerouting', 'accept'),
  },
  {
    name: 'maps to verdicts',
    since: 'kernel 4.1',
    text: () => `map m { type classid : verdict\n }\n${nat('prerouting', 'meta priority vmap @m')}`,
  },
  {
    name: 'ranges in concatenations',
    since: 'kernel 5.6, nft 0.9.4',
    text: ({ address }) =>
      `set s { type ${address} . inet_proto . inet_service . ${address}\n flags interval\n }`,
  },
  { name: 'maps to addresses and ports', since: 'kernel 5.6, nft 0.9.4', text: rows },
  {
    name: 'numbers drawn at random',
    since: 'nft_numgen',
    text: () => nat('prerouting', 'meta priority set numgen random mod 2'),
  },
  {
    name: 'translation by a map of addresses and ports',
    since: 'kernel 5.6, nft 0.9.4',
    text: (words) =>
      `${rows(words)}\n${nat('prerouting', `dnat ${words.header} to ${words.header} daddr . meta l4proto . th dport . meta priority map @m`)}`,
  },
  {
    name: 'clients remembered in a map',
    since: 'kernel 5.13, nft 1.0.1',
    text: ({ header, address }) =>
      `map m { type ${address} : classid\n size 16\n flags dynamic,timeout\n }\n` +
      nat('prerouting', `update @m { ${header} saddr timeout 1s : meta priority }`),
  },
  {
    name: 'kind of an address (fib)',
    since: 'nft_fib',
    text: () => nat('prerouting', 'fib daddr type local accept'),
  },
  { name: 'reject before routing', since: 'kernel 5.9, nft_reject', text: () => nat('prerouting', 'reject') },
  {
    name: 'masks in a key of addresses',
    since: 'nft 1.0.0',
    text: ({ header, address, family }) => {
      const mask = family === 'IPv4' ? '0.0.0.15' : '::f';
      const key = `${header} saddr & ${mask} . ${header} daddr & ${mask}`;
      return `set s { type ${address} . ${address}\n }\n${nat('postrouting', `${key} @s accept`)}`;
    },
  },
  { name: 'masquerade', since: 'nft_masq', text: () => nat('postrouting', 'masquerade') },
];

/** Runs `nft --check` on a text; gives what nft said against it. */
export type Check = (text: string) => Promise<string>;

/** Whether `masquerade fully-random` is there for this family. */
export async function hasFullyRandom(words: Words, check: Check): Promise<boolean> {
  return (await check(probeTable(words, nat('postrouting', 'masquerade fully-random')))) === '';
}

/** The first piece that is missing, as an error; undefined where all are there. */
export async function missingPiece(words: Words, check: Check): Promise<SluiceError | undefined> {
  for (const piece of pieces) {
    const against = await check(probeTable(words, piece.text(words)));
    if (against === '') continue;
    if (/operation not permitted|permission denied/i.test(against)) {
      return new SluiceError(
        'denied',
        `nft may not change rules here: the agent needs NET_ADMIN (${first(against)})`,
        {
          code: 'NotPermitted',
          action: 'nft',
        },
      );
    }
    return new SluiceError(
      'invalid',
      `nftables on this node lacks ${piece.name} for ${words.family} (needs ${piece.since}): ` +
        `${first(against)}. Use the iptables backend here, or a newer kernel and nft`,
      { code: 'MissingFeature' },
    );
  }
  return undefined;
}

function probeTable({ header }: Words, text: string): string {
  return `table ${header} sluice-probe {\n${text}\n}\n`;
}

export function first(message: string): string {
  return message.split('\n')[0] ?? '';
}

export function refused(error: string): SluiceError {
  if (/operation not permitted|permission denied/i.test(error)) {
    return new SluiceError(
      'denied',
      `nft may not read or change rules here: the agent needs NET_ADMIN (${first(error)})`,
      {
        code: 'NotPermitted',
        action: 'nft',
      },
    );
  }
  return new SluiceError('transient', `nft refused our table: ${first(error) || 'without a word'}`, {
    code: 'NftRefused',
    cause: error,
  });
}
