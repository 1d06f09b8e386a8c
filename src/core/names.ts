/**
 * Names for what we make: readable parts for people, a hash for uniqueness.
 *
 * Clouds limit names to a few dozen characters, so the parts are cut and the hash carries the identity. The
 * hash is made from what never changes during a Service's life (cluster id, UID, port), hence the name is
 * stable: a crash between "made" and "remembered" finds the same name again.
 *
 * Invariants: a name is `[a-z0-9-]`, has no hyphen at either end and no two in a row; the hash is never cut.
 */
import { hash as digest } from 'node:crypto';
import { SluiceError } from './errors.ts';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * The first `length` characters of a SHA-256 in lower-case base32 (RFC 4648): 5 bits each, 51 at most.
 *
 * Parts are framed by their length, so that `a, bc` and `ab, c` differ.
 */
export function shortHash(length: number, ...parts: readonly string[]): string {
  if (!Number.isInteger(length) || length < 1 || length > 51) {
    throw new SluiceError('bug', `a hash of ${length} characters was asked for; 1 to 51 are possible`, {
      code: 'HashLength',
    });
  }
  const framed = parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('');
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of digest('sha256', framed, 'buffer')) {
    held = ((held << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5 && text.length < length) {
      bits -= 5;
      text += alphabet.charAt((held >> bits) & 31);
    }
  }
  return text;
}

export interface NameParts {
  /** Readable parts in order, each with the most characters it may take. */
  readonly parts: readonly { readonly text: string; readonly max: number }[];
  /** `[a-z0-9]+`, appended whole. */
  readonly hash: string;
  /** Characters that the name may have. */
  readonly limit: number;
}

/** `web-shop-k7q2…`: the parts, cut to fit, and the hash, joined by hyphens. */
export function composeName({ parts, hash, limit }: NameParts): string {
  if (!/^[a-z0-9]+$/.test(hash) || hash.length > limit) {
    throw new SluiceError('bug', `hash "${hash}" cannot end a name of at most ${limit} characters`, {
      code: 'NameHash',
    });
  }
  const texts = parts.map(({ text, max }) => cut(plain(text), max));
  const length = (): number =>
    texts.reduce((sum, text) => sum + (text === '' ? 0 : text.length + 1), hash.length);
  while (length() > limit) {
    const longest = texts.reduce((best, text, i) => (text.length > (texts[best] ?? '').length ? i : best), 0);
    texts[longest] = cut(texts[longest] ?? '', (texts[longest] ?? '').length - 1);
  }
  return [...texts.filter((text) => text !== ''), hash].join('-');
}

/** Lower case, every run of other characters one hyphen, none at the ends. */
function plain(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

/** Cutting may lay a hyphen bare at the end; it goes as well. */
function cut(text: string, max: number): string {
  return text.slice(0, Math.max(0, max)).replace(/-$/, '');
}
