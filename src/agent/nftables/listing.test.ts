/** Reading what nft lists: all of it or an error, never an empty table. */
import { expect, test } from 'vitest';
import { ListingReader, type Listed } from './listing.ts';

function read(text: string, piece = text.length): Listed {
  const reader = new ListingReader();
  for (let at = 0; at < text.length; at += piece) reader.push(text.slice(at, at + piece));
  return reader.end();
}

const listing = `table ip sluice {
	map endpoints { 
		type ipv4_addr . inet_proto : ipv4_addr . inet_service
		elements = { 10.0.0.1 . 6 : 10.1.0.1 . 80,
			     10.0.0.2 . 6 : 10.1.0.2 . 80 }
	}

	set pods {
		type ipv4_addr
		flags interval
		elements = { 10.244.0.0/24, 10.245.0.0/24 }
	}

	set empty {
		type ipv4_addr
	}

	chain prerouting {
		type nat hook prerouting priority -105; policy accept;
		jump services
	}
}
`.replace('endpoints { \n', 'endpoints {\n');

test('maps, sets and chains are read, in whatever pieces the text comes', () => {
  for (const piece of [1, 7, 64, listing.length]) {
    const { sets, chains } = read(listing, piece);
    expect([...(sets.get('endpoints')?.elements ?? [])]).toEqual([
      ['10.0.0.1 . 6', '10.1.0.1 . 80'],
      ['10.0.0.2 . 6', '10.1.0.2 . 80'],
    ]);
    expect(sets.get('pods')).toMatchObject({ kind: 'set', lines: ['type ipv4_addr', 'flags interval'] });
    expect([...(sets.get('pods')?.elements.keys() ?? [])]).toEqual(['10.244.0.0/24', '10.245.0.0/24']);
    expect(sets.get('empty')?.elements.size).toBe(0);
    expect(chains.get('prerouting')).toEqual([
      'type nat hook prerouting priority -105; policy accept;',
      'jump services',
    ]);
  }
});

test('a listing that breaks off anywhere is an error', () => {
  const lines = listing.trimEnd().split('\n');
  for (let count = 1; count < lines.length; count += 1) {
    expect(() => read(`${lines.slice(0, count).join('\n')}\n`), `${count} lines`).toThrow(
      /cannot read what nft lists/,
    );
  }
});

test('objects of a kind that we never write are an error', () => {
  for (const line of ['flowtable f {', 'ct helper h {', 'quota q {', 'nonsense']) {
    expect(() => read(`table ip sluice {\n${line}\n`), line).toThrow(/cannot read what nft lists/);
  }
});
