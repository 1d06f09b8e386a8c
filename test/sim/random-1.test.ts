import { it } from 'vitest';
import { runShare } from './histories.ts';

it('keeps every invariant through random histories (share 1 of 2)', async () => {
  await runShare(0, 2);
});
