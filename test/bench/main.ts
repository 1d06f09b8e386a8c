/**
 * `npm run bench` lists the benches; `npm run bench -- NAME` runs one (or several) and prints its table.
 *
 *   --json     the same as data, on standard output
 *   --check    exit 1 when a goal is missed
 *   --provider alibaba   measure that cloud instead of AWS, where the bench knows it
 *   -- ARGS    handed to the bench
 *
 * A bench is a file `*.bench.ts` beside this one that exports `bench`.
 */
import { globSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { judge } from './bench.ts';
import type { Bench, BenchOptions, JudgedRow } from './bench.ts';
import { renderTable } from './table.ts';

async function benches(): Promise<readonly Bench[]> {
  const files = globSync('*.bench.ts', { cwd: import.meta.dirname }).toSorted();
  const loaded = files.map(async (file) => {
    const module = (await import(join(import.meta.dirname, file))) as { readonly bench: Bench };
    return module.bench;
  });
  return Promise.all(loaded);
}

/** What the figures depend on. */
function machine(): Readonly<Record<string, string>> {
  const cores = cpus();
  return {
    cpu: `${cores[0]?.model.trim() ?? 'unknown'}, ${cores.length} cores`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernel: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}

function list(all: readonly Bench[]): void {
  if (all.length === 0) console.log('There are no benches yet.');
  for (const { name, summary, goal } of all)
    console.log(`${name.padEnd(12)} ${summary}\n${' '.repeat(13)}goal: ${goal}`);
  console.log('\nRun one with `npm run bench -- NAME [--json] [--check]`.');
}

async function runBench(
  bench: Bench,
  { args, provider, signal }: Pick<BenchOptions, 'args' | 'provider' | 'signal'>,
) {
  const progress = (text: string): void => console.error(`${bench.name}: ${text}`);
  const versions = { ...machine(), ...(await bench.versions?.()) };
  const started = performance.now();
  const rows: readonly JudgedRow[] = (await bench.run({ args, progress, provider, signal })).map(judge);
  const seconds = (performance.now() - started) / 1000;
  return { name: bench.name, goal: bench.goal, machine: versions, seconds, rows };
}

async function main(): Promise<void> {
  const separator = process.argv.indexOf('--', 2);
  const own = process.argv.slice(2, separator < 0 ? undefined : separator);
  const args = separator < 0 ? [] : process.argv.slice(separator + 1);
  const { values, positionals } = parseArgs({
    args: own,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      provider: { type: 'string', default: 'aws' },
    },
  });
  const all = await benches();
  if (positionals.length === 0) {
    list(all);
    return;
  }
  const chosen = positionals.map((name) => {
    const found = all.find((bench) => bench.name === name);
    if (found) return found;
    throw new Error(
      `no bench is called "${name}"; there are ${all.map((each) => each.name).join(', ') || 'none'}`,
    );
  });
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort(new Error('interrupted')));
  const results = [];
  for (const bench of chosen) {
    const { provider } = values;
    const measured = bench.providers ?? ['aws'];
    if (!measured.includes(provider))
      throw new Error(`${bench.name} measures ${measured.join(', ')} only, not "${provider}"`);
    const result = await runBench(bench, { args, provider, signal: abort.signal });
    results.push(result);
    if (values.json) continue;
    console.log(`${bench.name}: ${bench.summary}\ngoal: ${bench.goal}\n`);
    for (const [name, value] of Object.entries(result.machine)) console.log(`${name.padEnd(12)} ${value}`);
    console.log(`\n${renderTable(result.rows)}\n${result.seconds.toFixed(1)} s\n`);
  }
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  const missed = results.flatMap(({ name, rows }) =>
    rows.filter((row) => row.met === false).map((row) => `${name}: ${row.what}`),
  );
  if (missed.length > 0) console.error(`goals missed:\n${missed.map((each) => `  ${each}`).join('\n')}`);
  if (values.check && missed.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
