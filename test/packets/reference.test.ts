/**
 * The table of cases held against the real kube-proxy in both modes: what the table says is what a cluster does today,
 * but for the rows that say otherwise.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { cases, type Case, type Reference } from './cases.ts';
import { checkRow, prepareBed, type Programmer } from './check.ts';
import { PacketCluster } from './cluster.ts';
import { kubeProxyReference } from './reference.ts';
import { Atlas } from './world.ts';

let cluster: PacketCluster;

beforeAll(async () => {
  cluster = await PacketCluster.start();
});
afterAll(() => cluster.stop());

const groups = Map.groupBy(
  cases.map((each, block) => ({ ...each, block })),
  (each) => JSON.stringify(each.settings ?? {}),
);

describe.each(['nftables', 'iptables'] as const)('kube-proxy %s', (mode) => {
  const name: Reference = `kube-proxy ${mode}`;
  let bed: Bed;

  beforeAll(async () => {
    bed = await Bed.make();
    await prepareBed(bed);
    await cluster.join(bed);
  });
  afterAll(() => bed.remove());

  describe.each([...groups.values()])('%#', (...group) => {
    let programmer: Programmer;

    beforeAll(async () => {
      programmer = await kubeProxyReference(cluster, mode)(bed, group[0]?.settings ?? {});
    });
    afterAll(() => programmer.close());

    test.each(group)('$name', async (given: Case & { readonly block: number }) => {
      const atlas = new Atlas(bed, given.world, given.block);
      const owned = (given.owns ?? []).flatMap(({ at, of }) =>
        (['IPv4', 'IPv6'] as const).map((family) => `${atlas.address(of, at, family)} dev lo`),
      );
      if (owned.length > 0) await bed.ip('n1', ...owned.map((line) => `addr add ${line}`));
      onTestFinished(async () => {
        if (owned.length > 0) await bed.ip('n1', ...owned.map((line) => `addr del ${line}`));
      });
      await programmer.become(atlas);
      const wrong: string[] = [];
      for (const row of given.rows) {
        const expected = row.differs?.[name]?.expect ?? row.expect;
        for (const family of row.families ?? (['IPv4', 'IPv6'] as const)) {
          const found = await checkRow(bed, atlas, row, expected, family);
          wrong.push(...found.map((text) => `${row.rule} ${family} ${row.from}: ${row.says}: ${text}`));
        }
      }
      expect(wrong).toEqual([]);
    });
  });
});
