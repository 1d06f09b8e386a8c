/**
 * nft and kernels that have less, or say less: a masquerade without `fully-random`, and messages about changes that were
 * lost on the way. A stand-in refuses or says what an older one would; the rules are written by the real one.
 */
import { expect, test } from 'vitest';
import type { SpawnPiped } from '../../src/agent/nftables/process.ts';
import { NftablesBackend } from '../../src/agent/nftables/backend.ts';
import { FamilySync } from '../../src/agent/sync.ts';
import { syncTimings, type SyncReport } from '../../src/agent/sync-report.ts';
import { systemClock } from '../../src/core/clock.ts';
import { until } from './check.ts';
import { makeNamespace, manyDecisions, plainNode } from './nftables-world.ts';

test('an nft that does not know fully-random gets the table without it, whole, and mends and verifies it so', async () => {
  await using ns = makeNamespace();
  // What such an nft says; the rest goes to the real one.
  const script = `text=$(cat); case "$text" in *fully-random*) echo 'Error: syntax error, unexpected string' >&2; exit 1;; esac; exec nft "$@" <<<"$text"`;
  const start: SpawnPiped = (program, args) =>
    args.includes('-f') ? ns.start('bash', ['-c', script, program, ...args]) : ns.start(program, args);
  const backend = new NftablesBackend({ family: 'IPv4', start });
  const decisions = manyDecisions(20, 3);
  expect((await backend.replace(plainNode, decisions)).quarantined).toEqual([]);
  const listed = ns.run('nft', ['list', 'table', 'ip', 'sluice']);
  expect(listed).toMatch(/masquerade$/mu);
  expect(listed).not.toContain('fully-random');
  expect(await backend.verify()).toEqual([]);
  expect((await backend.replace(plainNode, decisions)).operations).toBe(0);
  await backend.close();
});

test('a change whose messages were lost is found by a look at the whole table, and mended', async () => {
  await using ns = makeNamespace();
  // A monitor that hears nothing, and after a second that it has missed something.
  const deaf = `sleep 1; echo '# ERROR: We lost some netlink events!'; exec sleep 100`;
  const start: SpawnPiped = (program, args) =>
    args.includes('monitor') ? ns.start('bash', ['-c', deaf]) : ns.start(program, args);
  const backend = new NftablesBackend({ family: 'IPv4', start });
  const decisions = manyDecisions(20, 3);
  const events: SyncReport[] = [];
  const sync = new FamilySync({
    backend,
    source: {
      node: () => plainNode,
      decisions: () => decisions,
      decision: (key) => decisions.find((one) => one.key === key),
    },
    clock: systemClock,
    random: Math.random,
    timings: { ...syncTimings, verifyMs: 0 },
    report: (event) => events.push(event),
  });
  sync.start();
  try {
    await until('it has written', () => Promise.resolve(sync.state.programmed));
    const right = ns.run('nft', ['list', 'map', 'ip', 'sluice', 'endpoints-cluster']);
    ns.run('nft', ['flush', 'map', 'ip', 'sluice', 'endpoints-cluster']);
    await until('the map is as it was', () =>
      Promise.resolve(ns.run('nft', ['list', 'map', 'ip', 'sluice', 'endpoints-cluster']) === right),
    );
    expect(events.find(({ kind }) => kind === 'foreign')).toMatchObject({
      change: { message: 'messages of the kernel were lost', process: undefined },
    });
    // Only what was missing is written.
    await until('that is told', () =>
      Promise.resolve(events.some((event) => event.kind === 'written' && event.operations === 60)),
    );
  } finally {
    await sync.stop();
  }
});
