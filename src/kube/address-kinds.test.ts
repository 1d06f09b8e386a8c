import { expect, test } from 'vitest';
import { poolFigures } from '../core/address-objects.ts';
import { slimPool } from './address-kinds.ts';

test('the figures of a pool are read as they were written, in whatever order the server has them', () => {
  const status = {
    inUse: 1,
    ipv4: { capacity: 4, inUse: 1, free: 3 },
    ipv6: { capacity: 0, inUse: 0, free: 0 },
    waiting: 1,
    firstWaiting: ['default/web'],
    draining: [],
  };
  const { ipv4, ...rest } = status;
  const sent = { ...rest, ipv4: { free: ipv4.free, inUse: ipv4.inUse, capacity: ipv4.capacity } };
  const read = (of: object): string => slimPool({ metadata: { name: 'p' }, status: of }).figures;
  expect(read(sent)).toBe(poolFigures(status));
  expect(read({ ...sent, waiting: 2 })).not.toBe(poolFigures(status));
  expect(read({})).not.toBe(poolFigures(status));
});
