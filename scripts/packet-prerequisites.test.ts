/** What the packet tests ask of a machine. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { absentTools, packagesOf, toolPackages } from './packet-prerequisites.ts';

test('a tool is there when some folder of PATH holds a program of its name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const tool of ['nft', 'ipset']) writeFileSync(join(folder, tool), '');
  chmodSync(join(folder, 'nft'), 0o755);
  const absent = absentTools(`/nowhere:${folder}:`);
  expect(absent).not.toContain('nft');
  // A file that cannot be run is no program.
  expect(absent).toEqual(Object.keys(toolPackages).filter((tool) => tool !== 'nft'));
});

test('each package of what is absent is named once', () => {
  expect(packagesOf(['ip', 'bridge', 'iptables', 'ip6tables', 'conntrack'])).toEqual([
    'conntrack',
    'iproute2',
    'iptables',
  ]);
});
