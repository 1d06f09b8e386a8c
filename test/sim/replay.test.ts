/** One random history again, with everything that happened, for whoever looks into a failure. */
import { expect, it } from 'vitest';
import { cloudNamed } from './clouds/named.ts';
import { randomHistory } from './random-history.ts';
import { runHistory } from './run.ts';
import { report, shrink } from './shrink.ts';

const cloud = cloudNamed(process.env['SLUICE_CLOUD'] ?? 'aws');
const seed = Number(process.env['SLUICE_SEED'] ?? 1);

it(`keeps every invariant through history ${seed}`, async () => {
  const history = randomHistory(seed, cloud);
  const { violations } = await runHistory(history, { cloud });
  const [violation] = violations;
  if (violation === undefined) return expect(violations).toEqual([]);
  const small = await shrink(history, violation, { cloud });
  const lines: string[] = [];
  await runHistory(small.history, { cloud, trace: (line) => lines.push(line) });
  const end = lines.findIndex((line) => line.includes('!! ')) + 1;
  expect.fail(`${report(cloud, small)}\n\n${lines.slice(0, end === 0 ? undefined : end).join('\n')}`);
});
