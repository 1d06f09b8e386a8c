/** What iptables calls the rules that the kernel names by their handles. */
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../../core/errors.ts';
import type { RunTool } from '../tool.ts';
import { handlesOf, iptablesTexts } from './trace-rules.ts';

const listing = `table ip nat {
\tchain SLUICE-SERVICES { # handle 1
\t\txt match set  counter packets 1 bytes 60 jump SLUICE-A # handle 18
\t\tip daddr 10.96.3.7 tcp dport 80 counter packets 2 bytes 120 jump SLUICE-B # handle 11
\t}
}
`;
const saved = `-N SLUICE-SERVICES
-A SLUICE-SERVICES -m set --match-set SLUICE-4-DST dst,dst -j SLUICE-A
-A SLUICE-SERVICES -d 10.96.3.7/32 -p tcp -m tcp --dport 80 -j SLUICE-B
`;
const step = {
  table: 'ip nat',
  chain: 'SLUICE-SERVICES',
  text: 'xt match set',
  verdict: 'jump SLUICE-A',
  handle: 18,
};

function tools(nft: string, iptables: string | SluiceError): { run: RunTool; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    run: async (program, args) => {
      asked.push([program, ...args].join(' '));
      if (program !== 'nft' && iptables instanceof SluiceError) throw iptables;
      return { code: 0, out: program === 'nft' ? nft : String(iptables), error: '' };
    },
  };
}

test('the rules of a base chain and of a plain one have their handles in order', () => {
  expect(handlesOf(listing)).toEqual([18, 11]);
  const base = '\tchain OUTPUT { # handle 5\n\t\ttype nat hook output priority -100; policy accept;\n';
  expect(handlesOf(`${base}\t\tcounter packets 3 bytes 180 jump A # handle 6\n\t}`)).toEqual([6]);
});

describe('the text of a rule', () => {
  test('stands at the same place; each chain is asked about once', async () => {
    const { run, asked } = tools(listing, saved);
    const texts = await iptablesTexts(
      [step, { ...step, handle: 11 }, { ...step, handle: null }],
      'IPv4',
      run,
    );
    expect(texts('ip nat', 'SLUICE-SERVICES', 18)).toContain('--match-set SLUICE-4-DST dst,dst -j SLUICE-A');
    expect(texts('ip nat', 'SLUICE-SERVICES', 11)).toContain('-d 10.96.3.7/32');
    expect(texts('ip nat', 'SLUICE-SERVICES', 12)).toBeUndefined();
    expect(asked).toEqual([
      'nft -a list chain ip nat SLUICE-SERVICES',
      'iptables-nft -t nat -S SLUICE-SERVICES',
    ]);
  });

  const gone = new SluiceError('invalid', 'no such program', { code: 'ToolMissing' });
  test.each<[string, string | SluiceError]>([
    ['the chain has changed meanwhile', '-A SLUICE-SERVICES -j SLUICE-A\n'],
    ['there is no iptables-nft', gone],
  ])('is left to nft where %s', async (_why, iptables) => {
    const texts = await iptablesTexts([step], 'IPv4', tools(listing, iptables).run);
    expect(texts('ip nat', 'SLUICE-SERVICES', 18)).toBeUndefined();
  });

  test.each(['ip sluice', 'inet filter', 'ip6 nat'])('is not asked for in table %s', async (table) => {
    const { run, asked } = tools(listing, saved);
    await iptablesTexts([{ ...step, table }], 'IPv4', run);
    expect(asked).toEqual([]);
  });
});
