/**
 * The allocator: 10,000 Services take an address from a full-size pool and give it back, in an order that leaves holes.
 *
 * Beside it, in the same run, the way that is obvious: a scan of the pool from its first address for one that is free.
 */
import { aUid } from '../../../src/core/fixtures.ts';
import { formatAddress } from '../../../src/core/cidr.ts';
import { seededRandom } from '../../../src/core/clock.ts';
import { Allocator } from '../../../providers/local/allocator/allocator.ts';
import { aPool, aRequest } from '../../../providers/local/allocator/fixtures.ts';
import { judgePools } from '../../../providers/local/allocator/pools.ts';
import type { Row } from '../bench.ts';

const count = 10_000;
const goalMs = 200;

export function measureAllocator(progress: (text: string) => void): readonly Row[] {
  const requests = Array.from({ length: count }, (_, i) => aRequest(`s${i}`));
  const random = seededRandom(1);
  const order = requests.toSorted(() => random() - 0.5);
  const pools = judgePools([aPool('large', ['10.64.0.0/16']), aPool('second', ['10.65.0.0/16'])]);

  progress('10,000 allocations and releases');
  const allocator = new Allocator();
  allocator.setPools(pools);
  const empty = timed(() => {
    for (const request of requests) allocator.ask(request);
    for (const { uid } of order) allocator.release(uid);
  });

  progress('the same at the end of a pool that is nearly full');
  const full = new Allocator();
  full.setPools(judgePools([aPool('large', ['10.64.0.0/16'])]));
  for (let i = 0; i < 65_536 - count; i += 1) full.ask(aRequest(`old${i}`));
  const nearlyFull = timed(() => {
    for (const request of requests) full.ask(request);
    for (const { uid } of order) full.release(uid);
  });

  progress('10,000 that wait, each served by one release');
  const crowded = new Allocator();
  crowded.setPools(judgePools([aPool('large', ['10.64.0.0/18'])]));
  for (let i = 0; i < 16_384; i += 1) crowded.ask(aRequest(`old${i}`));
  for (const request of requests) crowded.ask(request);
  const waiting = timed(() => {
    for (let i = 0; i < count; i += 1) crowded.release(aUid(`uid-old${i}`));
  });

  progress('a scan of the pool for each');
  const scan = timed(() => scanned(100)) * (count / 100);
  const goal = { kind: 'at most', value: goalMs } as const;
  const peer = { name: 'scan of the pool (a hundredth of it, times a hundred)', value: scan };
  return [
    { what: '10,000 allocations and releases, pools of 65,536', unit: 'ms', ours: empty, goal },
    { what: 'the same, the pool nearly full', unit: 'ms', ours: nearlyFull, peer, goal },
    { what: '10,000 releases that each serve one who waits', unit: 'ms', ours: waiting },
  ];
}

/** Takes the last free addresses of a pool by looking at each from its beginning. */
function scanned(times: number): void {
  const base = 10n << 24n;
  const used = new Set<string>();
  for (let i = 0n; i < 65_536n - BigInt(times); i += 1n)
    used.add(formatAddress({ family: 'IPv4', value: base + i }));
  for (let n = 0; n < times; n += 1) {
    for (let i = 0n; i < 65_536n; i += 1n) {
      const text = formatAddress({ family: 'IPv4', value: base + i });
      if (used.has(text)) continue;
      used.add(text);
      break;
    }
  }
}

function timed(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}
