/**
 * Reads what `nft -p -y list table` prints. Lines come in a fixed form from the tool; anything else is an error, never
 * an empty table.
 */
import { SluiceError } from '../../core/errors.ts';
import { TextLines } from './text-lines.ts';

export interface ListedSet {
  readonly kind: 'map' | 'set';
  /** What stands before the elements: type, flags, size. */
  readonly lines: readonly string[];
  /** Key to value, value empty in a set. */
  readonly elements: Map<string, string>;
}

export interface Listed {
  readonly sets: Map<string, ListedSet>;
  /** Lines inside the braces; a hooked chain begins with its hook. */
  readonly chains: Map<string, readonly string[]>;
  /** Somebody wrote meanwhile: an element may be missing here, though it is there. */
  readonly interrupted?: boolean;
}

type Place =
  | { readonly kind: 'outside' | 'table' }
  | {
      readonly kind: 'set';
      readonly lines: string[];
      readonly elements: Map<string, string>;
      filling: boolean;
    }
  | { readonly kind: 'chain'; readonly lines: string[] };

/** Takes text in pieces as it comes; `end` gives the table. */
export class ListingReader {
  readonly #listed: Listed = { sets: new Map(), chains: new Map() };
  #place: Place = { kind: 'outside' };
  readonly #lines = new TextLines((line) => this.#line(line));

  readonly push = (text: string): void => this.#lines.push(text);

  /** @throws SluiceError `bug` where the listing broke off or had another form. */
  end(): Listed {
    const { rest } = this.#lines;
    if (rest.trim() !== '' || this.#place.kind !== 'outside') throw unread(rest);
    return this.#listed;
  }

  #line(raw: string): void {
    const line = raw.trim();
    const place = this.#place;
    if (place.kind === 'set' && place.filling) {
      this.#fill(place, line);
      return;
    }
    if (line === '') return;
    switch (place.kind) {
      case 'outside':
        if (!line.startsWith('table ')) throw unread(line);
        this.#place = { kind: 'table' };
        return;
      case 'table':
        this.#open(line);
        return;
      case 'set':
        if (line === '}') this.#place = { kind: 'table' };
        else if (line.startsWith('elements = { ')) this.#fill(place, line.slice(13));
        else place.lines.push(line);
        return;
      case 'chain':
        if (line === '}') this.#place = { kind: 'table' };
        else place.lines.push(line);
        return;
      default:
        throw unread(line);
    }
  }

  #open(line: string): void {
    if (line === '}') {
      this.#place = { kind: 'outside' };
      return;
    }
    const match = /^(map|set|chain|counter) (\S+) \{$/.exec(line);
    const [, kind, name = ''] = match ?? [];
    if (kind === 'chain') {
      const lines: string[] = [];
      this.#listed.chains.set(name, lines);
      this.#place = { kind: 'chain', lines };
    } else if (kind === 'map' || kind === 'set') {
      const lines: string[] = [];
      const elements = new Map<string, string>();
      this.#listed.sets.set(name, { kind, lines, elements });
      this.#place = { kind: 'set', lines, elements, filling: false };
    } else {
      throw unread(line);
    }
  }

  #fill(place: Place & { kind: 'set' }, text: string): void {
    place.filling = !text.endsWith('}');
    const body = place.filling ? text : text.slice(0, -1);
    for (let from = 0; from < body.length;) {
      const comma = body.indexOf(',', from);
      const item = body.slice(from, comma < 0 ? undefined : comma).trim();
      from = comma < 0 ? body.length : comma + 1;
      if (item === '') continue;
      const colon = item.indexOf(' : ');
      if (colon < 0) place.elements.set(item, '');
      else place.elements.set(item.slice(0, colon), item.slice(colon + 3));
    }
  }
}

function unread(line: string): SluiceError {
  return new SluiceError('bug', `cannot read what nft lists: ${JSON.stringify(line.slice(0, 200))}`, {
    code: 'UnreadableListing',
  });
}
