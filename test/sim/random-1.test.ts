import { it } from 'vitest';
import { clouds } from './clouds/named.ts';
import { runShare } from './histories.ts';

it.each(clouds)(
  'keeps every invariant through random histories on $provider (share 1 of 2)',
  async (cloud) => {
    await runShare(cloud, 0, 2);
  },
);
