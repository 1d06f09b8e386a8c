/** The bundle: it must start and work where there is nothing but itself. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleOptions, outputsOf } from './build.ts';
import type { Output } from './build.ts';
import { root, run } from './run.ts';

let folder = '';

beforeAll(() => {
  // Outside the checkout, so that nothing is found in its node_modules by accident.
  folder = mkdtempSync(join(tmpdir(), 'sluice-build-'));
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the bundle of the program', () => {
  let outputs: readonly Output[] = [];

  beforeAll(async () => {
    const { metafile } = await build(bundleOptions(join(folder, 'dist')));
    outputs = outputsOf(metafile);
  });

  test('starts on its own and knows itself', async () => {
    const { code, output } = await run('node', [join(folder, 'dist', 'sluice.js'), '--help'], {
      limitMs: 10_000,
    });
    expect(output).toContain('sluice');
    expect(code).toBe(0);
  });

  test("loads no cloud's SDK and no provider at start", () => {
    const atStart = outputs.filter((output) => output.atStart).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(atStart).toBeGreaterThan(0);
    // The largest thing that a start needs is the Kubernetes client library.
    expect(atStart).toBeLessThan(4 * 2 ** 20);
  });
});

test('libraries keep their named exports, also when a chunk is loaded on demand', async () => {
  const { entryPoints: _, ...options } = bundleOptions(join(folder, 'probe'));
  await build({
    ...options,
    entryNames: 'probe',
    stdin: {
      resolveDir: root,
      contents: `
        import { parse } from 'yaml';
        import { Registry } from 'prom-client';
        import { pino } from 'pino';
        const aws = await import('@aws-sdk/client-elastic-load-balancing-v2');
        const { KubeConfig } = await import('@kubernetes/client-node');
        const all = [parse, Registry, pino, aws.ElasticLoadBalancingV2Client, aws.CreateListenerCommand, KubeConfig];
        console.log(all.map((each) => typeof each).join());
        pino({ base: null, timestamp: false }).info('logged');`,
    },
  });
  const { output, code } = await run('node', [join(folder, 'probe', 'probe.js')], { limitMs: 10_000 });
  const functions = Array.from({ length: 6 }, () => 'function').join();
  expect(output).toBe(`${functions}\n{"level":30,"msg":"logged"}\n`);
  expect(code).toBe(0);
});
