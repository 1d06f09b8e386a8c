import { it } from 'vitest';
import { clouds } from './clouds/named.ts';
import { strikeShare } from './sweep-share.ts';

it.each(clouds)(
  'keeps every invariant on $provider, whatever fault falls on whatever call of a Service’s life (share 1 of 2)',
  async (cloud) => {
    await strikeShare(cloud, 0, 2);
  },
);
