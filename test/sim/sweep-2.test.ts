import { it } from 'vitest';
import { clouds } from './clouds/named.ts';
import { strikeShare } from './sweep-share.ts';

it.each(clouds)(
  'keeps every invariant on $provider, whatever fault falls on whatever call of a Service’s life (share 2 of 2)',
  async (cloud) => {
    await strikeShare(cloud, 1, 2);
  },
);
