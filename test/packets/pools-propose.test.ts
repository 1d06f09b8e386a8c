/** `sluice local pools --propose` in a namespace of a LAN where foreign hosts answer. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from '../../src/sandbox/bed/bed.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { macOf } from './announce/lan.ts';

let bed: Bed;
let folder: string;

beforeAll(async () => {
  bed = await Bed.make({ nodes: 2, podsPerNode: 1, clients: 2 });
  folder = await mkdtemp(join(tmpdir(), 'propose-'));
  const nodes = bed.topology.nodes.map(({ name, address }) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: {
      addresses: [address.IPv4, address.IPv6].map((ip) => ({ type: 'InternalIP', address: ip })),
    },
  }));
  await writeFile(
    join(folder, 'nodes.json'),
    JSON.stringify({ kind: 'List', apiVersion: 'v1', items: nodes }),
  );
  // A printer, say.
  await bed.ip('x2', 'addr add 172.31.0.250/24 dev eth0');
  await bed.ip('x2', 'addr add fd00:172:31::b000:f3/64 dev eth0 nodad');
});

afterAll(async () => {
  await bed.remove();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  readonly proposals: readonly {
    readonly pool: { readonly spec: { readonly addresses: readonly string[] } };
    readonly reasons: readonly string[];
    readonly checks: readonly string[];
  }[];
}

async function proposed(place: string, ...more: readonly string[]): Promise<string> {
  const program = fileURLToPath(new URL('bin/sluice.js', packageRoot));
  const args = ['local', 'pools', '--propose', '-f', join(folder, 'nodes.json'), ...more];
  return await bed.succeed(place, process.execPath, [program, ...args]);
}

test('who answers on the link is left out of the proposal, with the MAC, in both families', async () => {
  const { proposals } = JSON.parse(await proposed('x1', '-o', 'json')) as Answer;
  expect(proposals).toHaveLength(1);
  const [{ pool, reasons, checks }] = proposals as [Answer['proposals'][number]];
  expect(pool.spec.addresses).toEqual([
    '172.31.0.234-172.31.0.249',
    'fd00:172:31::b000:e3-fd00:172:31::b000:f2',
  ]);
  const said = reasons.join('\n');
  const mac = await macOf(bed, 'x2');
  // The foreign host, by its own address and by the one that it was given for the test.
  expect(said).toContain(`172.31.0.250 (${mac})`);
  expect(said).toContain(`172.31.0.202 (${mac})`);
  expect(said).toContain(`fd00:172:31::b000:f3 (${mac})`);
  expect(said).toContain('node n1');
  expect(said).toContain('this machine is in it, 172.31.0.201 on eth0');
  // The nodes and the gateway are known and need not answer.
  expect(said).toMatch(/left out: node n1, node n2, this machine/u);
  expect(checks.join('\n')).toContain('DHCP range');
});

test('what is printed is YAML with the reasons, and nothing is asked where that is not wanted', async () => {
  await bed.ip('x1', 'neigh flush dev eth0');
  const text = await proposed('x1', '--no-ask', '--size', '8');
  expect(text).toContain('# A proposal, not applied.');
  expect(text).toContain('#   - nobody on the link was asked');
  expect(text).toContain('kind: AddressPool');
  expect(text).toContain('- 172.31.0.247-172.31.0.254');
  expect(await bed.succeed('x1', 'ip', ['neigh', 'show', '172.31.0.250'])).toBe('');
});
