import { it } from 'vitest';
import { strikeShare } from './sweep-share.ts';

it('keeps every invariant, whatever fault falls on whatever call of a Service’s life (share 2 of 2)', async () => {
  await strikeShare(1, 2);
});
