/**
 * What the written table counts is what the evaluator says becomes of a packet, on random worlds; and bugs planted in
 * the table's text are noticed.
 */
import { fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { decided, worldWithPackets } from '../../../test/support/agent-worlds.ts';
import type { DecidedWorld } from '../../../test/support/agent-worlds.ts';
import { SluiceError } from '../../core/errors.ts';
import { evaluateFully } from '../evaluate.ts';
import type { Packet } from '../packet.ts';
import { counterShape } from './layout.ts';
import { wantedOf, wholeCounterTable } from './table.ts';
import { readCounterRules, traceCounters } from './tracer.ts';

const worlds = fc
  .sample(worldWithPackets(40), { numRuns: 150, seed: 20_261 })
  .flatMap(({ world, at, packets }) =>
    (['nftables', 'iptables'] as const).flatMap((backend) => {
      const localhostNodePorts = backend === 'iptables' && world.settings.localhostNodePorts;
      const settings = { ...world.settings, backend, localhostNodePorts };
      const again = decided({ ...world, settings }, at.node.family);
      return again === undefined ? [] : [{ at: again, packets }];
    }),
  );

function textOf({ node, decisions }: DecidedWorld): string {
  return [...wholeCounterTable(counterShape(node, 'connections'), wantedOf(decisions, 'connections'))].join(
    '',
  );
}

const protocols = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** The element that is to count, from the evaluator's answer; undefined where nothing is. */
function expected({ node, index, facts }: DecidedWorld, packet: Packet): string | undefined {
  const { hit, outcome, branch } = evaluateFully(node, index, facts, packet);
  if (hit === undefined) return undefined;
  const set =
    outcome.kind === 'deliver'
      ? 'connections'
      : outcome.kind === 'reject'
        ? 'no-endpoints'
        : branch === 'guard'
          ? 'outside-ranges'
          : 'no-local-endpoints';
  const key = `${protocols[packet.protocol]} . ${packet.port}`;
  return hit.kind === 'node-port' ? `nodeport-${set} ${key}` : `${set} ${packet.destination} . ${key}`;
}

/** How many packets the table counts otherwise than the evaluator says, or how often it cannot be read. */
function wrong(change: (text: string) => string): number {
  let count = 0;
  for (const { at, packets } of worlds) {
    try {
      const rules = readCounterRules(change(textOf(at)));
      for (const packet of packets) {
        const { hits, marked } = traceCounters(rules, at.facts, packet);
        if (marked || hits.join() !== (expected(at, packet) ?? '')) count += 1;
      }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      count += 1;
    }
  }
  return count;
}

test('each packet counts once, where the evaluator says', () => {
  expect(wrong((text) => text)).toBe(0);
});

test('every reason is met by some packet', () => {
  const met = new Set(
    worlds.flatMap(({ at, packets }) => packets.map((packet) => expected(at, packet)?.split(' ')[0])),
  );
  const reasons = ['connections', 'no-endpoints', 'no-local-endpoints', 'outside-ranges'];
  for (const reason of reasons) expect(met).toContain(reason);
  for (const reason of reasons.slice(0, 3)) expect(met).toContain(`nodeport-${reason}`);
});

const replaced =
  (pattern: RegExp, by: string) =>
  (text: string): string =>
    text.replaceAll(pattern, by);
const without =
  (pattern: RegExp) =>
  (text: string): string =>
    text
      .split('\n')
      .filter((line) => !pattern.test(line))
      .join('\n');

describe('it is noticed when', () => {
  test.each<readonly [string, (text: string) => string]>([
    ['source ranges are not asked', without(/saddr != @(nodeport-)?allowed/u)],
    ['source ranges are turned around', replaced(/saddr != @allowed/gu, 'saddr @allowed')],
    ['no range is allowed', without(/^add element \S+ sluice-counters (nodeport-)?allowed/u)],
    ['pods are not told from others', without(/(saddr @pods|iifname).*@(nodeport-)?connections/u)],
    ['processes are not told from others', without(/fib saddr type local/u)],
    ['node ports answer at every address', replaced(/ip6? daddr @nodeport-ips (meta priority)/gu, '$1')],
    ['localhost node ports are not counted', without(/^\s+ip daddr 127\.0\.0\.0\/8 meta/u)],
    [
      'node ports go before addresses',
      replaced(/(\n\s+meta priority set ip6? daddr .*)(\n\s+.* map @nodeport-destinations .*)/gu, '$2$1'),
    ],
    ['processes are not counted', without(/goto count-processes/u)],
    ['UDP is written as TCP', replaced(/ \. 17 \. /gu, ' . 6 . ')],
    ['what has no endpoint counts as served', replaced(/@no-endpoints/gu, '@connections')],
    ['a drop counts as a refusal', replaced(/goto count-no-local-endpoints/gu, 'goto count-no-endpoints')],
    ['the elements of a reason are missing', without(/^add element \S+ sluice-counters no-local-endpoints/u)],
    ['numbers of kinds lead nowhere', without(/^add element \S+ sluice-counters kinds/u)],
    ['the priority is left on the packet', replaced(/ meta priority set none accept/gu, ' accept')],
    ['a packet counts twice', replaced(/(@connections) meta priority set none accept/gu, '$1')],
    ['somebody added a rule', replaced(/(chain count \{\n)/gu, '$1\t\tcounter drop\n')],
  ])('%s', (_name, change) => {
    expect(wrong(change)).toBeGreaterThan(0);
  });
});
