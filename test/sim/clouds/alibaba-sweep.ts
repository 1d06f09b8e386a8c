/** Rows of the sweep that only Alibaba Cloud has: its own ways to fail. */
import type { CloudEffect } from '../cloud.ts';
import type { Blow, Point, SweptFault } from '../sweep-faults.ts';

const cloud = ({ side }: Point): boolean => side === 'cloud';
const write = (point: Point): boolean => cloud(point) && point.write;
const does = (effect: CloudEffect, forMs?: number) => (): Blow => ({
  kind: 'cloud',
  effect,
  ...(forMs === undefined ? {} : { forMs }),
});

export const alibabaSweep: readonly SweptFault[] = [
  { row: 12, name: 'an answer of HTML', at: cloud, blow: does({ kind: 'html' }) },
  {
    row: 12,
    name: 'an answer of HTML after the effect',
    at: write,
    blow: does({ kind: 'html', when: 'after' }),
  },
  {
    row: 12,
    name: 'HTTP 200 with an error code',
    at: cloud,
    blow: does({ kind: 'error-in-answer', code: 'SystemBusy' }),
  },
  {
    row: 13,
    name: 'one action busy for 20 s',
    at: write,
    blow: does({ kind: 'error', code: 'ServiceIsConfiguring' }, 20_000),
  },
  {
    row: 15,
    name: 'busy configuring for 20 s after each change',
    at: write,
    blow: () => ({ kind: 'events', events: [{ kind: 'cloud-in-use', releaseMs: 60_000, ms: 20_000 }] }),
  },
  {
    row: 17,
    name: 'arrears for 30 s',
    at: write,
    blow: does({ kind: 'error', code: 'ORDER.ARREARAGE' }, 30_000),
  },
];
