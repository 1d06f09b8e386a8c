import { expect, test } from 'vitest';
import { lacksOf } from './prerequisites.ts';

const all = { platform: 'linux', uid: 0, has: () => true };

test('root on Linux with the tools lacks nothing', () => {
  expect(lacksOf(all)).toEqual([]);
});

test('each thing that is missing is named with its cure, all at once', () => {
  const lacks = lacksOf({ ...all, uid: 1000, has: (program) => program !== 'nft' });
  expect(lacks).toEqual([
    { what: 'root, for network namespaces', cure: 'sudo npm run demo' },
    { what: 'nft', cure: 'Debian: apt-get install nftables' },
  ]);
});

test('elsewhere than on Linux nothing else is asked for', () => {
  expect(lacksOf({ platform: 'darwin', uid: 501, has: () => false }).map(({ what }) => what)).toEqual([
    'Linux (this is darwin)',
  ]);
});
