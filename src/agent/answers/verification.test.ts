/** What verify says, and what it lets happen to the kernel. */
import { describe, expect, test } from 'vitest';
import type { DecisionKey } from '../decision.ts';
import { NftablesBackend } from '../nftables/backend.ts';
import { Recorder } from '../../commands/stand-in.ts';
import { testDecision, testNode } from '../fixtures.ts';
import { onlyReads, readOnly } from './read-only.ts';
import { found, lasting, verificationText, verifyExitCode, type Verification } from './verification.ts';

const plain = (_style: string, text: string): string => text;
const missing = found('IPv4', {
  kind: 'missing',
  object: 'element ip sluice service-ips { 10.96.0.10 . 6 . 80 }',
  key: 'default/web:http/tcp/ipv4' as DecisionKey,
});
const extra = found('IPv6', { kind: 'unexpected', object: 'chain ip6 sluice mine', key: undefined });

const report = (differences: Verification['differences'], notes: readonly string[] = []): Verification => ({
  apiVersion: 'sluice.dev/v1alpha1',
  kind: 'Verification',
  node: 'n1',
  backend: 'nftables',
  decisions: { IPv4: 12, IPv6: 3 },
  inStep: differences.length === 0,
  differences,
  notes,
});

describe('the report', () => {
  test('in step', () => {
    expect(verificationText(report([]), plain)).toBe(
      'in step  nftables on node n1, 12 IPv4 and 3 IPv6 Service ports\n',
    );
    expect(verifyExitCode(report([]))).toBe(0);
  });

  test('differences stand under their Service', () => {
    const text = verificationText(report([missing, extra], ['a note']), plain);
    expect(verifyExitCode(report([missing]))).toBe(2);
    expect(text).toMatchInlineSnapshot(`
      "2 differences  nftables on node n1, 12 IPv4 and 3 IPv6 Service ports

      default/web:http/tcp/ipv4
        missing in the kernel: element ip sluice service-ips { 10.96.0.10 . 6 . 80 }

      no Service in particular (IPv6)
        in the kernel, and not decided: chain ip6 sluice mine

      A running agent repairs this by itself (--verify-every); where it does not, see its log and the flags: verify must be given the same.

      note: a note
      "
    `);
  });

  test('a long list is cut in text', () => {
    const many = Array.from({ length: 60 }, (_, index) => ({ ...missing, object: `element ${index}` }));
    expect(verificationText(report(many), plain)).toContain('… and 10 more; --output json has all');
  });

  test('only what two looks have in common is a difference', () => {
    expect(lasting([missing], [missing, extra])).toEqual([missing]);
    expect(lasting([extra], [{ ...extra, kind: 'different' }])).toEqual([]);
  });
});

describe('programs that may look and not touch', () => {
  test.each<[string, readonly string[], boolean]>([
    ['nft', ['-p', '-y', 'list', 'table', 'ip', 'sluice'], true],
    ['nft', ['-c', '-f', '-'], true],
    ['nft', ['-f', '-'], false],
    ['nft', ['-i'], false],
    ['nft', ['delete', 'table', 'ip', 'sluice'], false],
    ['iptables-nft-save', ['-t', 'nat'], true],
    ['ip6tables-legacy-save', [], true],
    ['iptables-nft-restore', ['--noflush'], false],
    ['iptables-restore', ['--test'], false],
    ['ipset', ['save'], true],
    ['ipset', ['restore', '-exist'], false],
    ['conntrack', ['-D'], false],
    // A backend would learn from the kernel that what it pretends to have written is right.
    ['perl', ['-e', 'anything'], false],
  ])('%s %j: %s', (program, args, reads) => expect(onlyReads(program, args)).toBe(reads));

  test('a backend believes that it has written, by file and by its long-lived child', async () => {
    const recorder = new Recorder();
    const backend = new NftablesBackend({ family: 'IPv4', start: readOnly(recorder.spawn) });
    const one = testDecision('one');
    const two = testDecision('two', { clusterIP: '10.96.0.11' });
    expect((await backend.replace(testNode, [one])).quarantined).toEqual([]);
    const { operations } = await backend.apply([{ key: two.key, before: undefined, after: two }]);
    expect(operations).toBeGreaterThan(0);
    expect((await backend.verify()).map(({ kind, object }) => `${kind} ${object}`)).toEqual([
      'missing table ip sluice',
    ]);
    await backend.close();
    expect(recorder.text()).toBe('');
  });
});
