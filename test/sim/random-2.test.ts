import { it } from 'vitest';
import { runShare } from './histories.ts';

it('keeps every invariant through random histories (share 2 of 2)', async () => {
  await runShare(1, 2);
});
