/** The bundle: it must start and work where there is nothing but itself. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle, bundleOptions } from './build.ts';
import type { Output } from './build.ts';
import { root, run } from './run.ts';

/** A build takes two seconds where nothing else runs. */
const buildMs = 60_000;
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
    outputs = await bundle(join(folder, 'dist'));
  }, buildMs);

  test('starts on its own and knows itself', async () => {
    const { code, output } = await run('node', [join(folder, 'dist', 'sluice.js'), '--help'], {
      limitMs: 10_000,
    });
    expect(output).toContain('sluice');
    expect(code).toBe(0);
  });

  test('all code is as deep as in the sources, so that assets are found in both forms', () => {
    expect(outputs.length).toBeGreaterThan(0);
    expect(outputs.filter(({ path }) => !/(?:^|\/)dist\/chunks\/[^/]+$/u.test(path))).toEqual([]);
  });

  describe('what is loaded at start', () => {
    test.each<{ readonly late: string; readonly pattern: RegExp }>([
      { late: "a cloud's SDK", pattern: /(?:^|\/)(?:@aws-sdk|@smithy|@alicloud)\//u },
      { late: 'providers', pattern: /^providers\// },
      { late: 'the sandbox', pattern: /^src\/sandbox\// },
      { late: 'the controller', pattern: /^src\/controller\// },
      { late: 'the way to the API server', pattern: /^src\/kube\// },
      { late: 'reading of settings', pattern: /^src\/settings\// },
      { late: 'undici', pattern: /node_modules\/undici\// },
      { late: 'yaml', pattern: /node_modules\/yaml\// },
      { late: 'prom-client', pattern: /node_modules\/prom-client\// },
      { late: '@opentelemetry/api', pattern: /node_modules\/@opentelemetry\/api\// },
    ])('is without $late', ({ pattern }) => {
      const matching = (list: readonly Output[]): readonly string[] =>
        list.flatMap(({ inputs }) => inputs).filter((input) => pattern.test(input));
      expect(matching(outputs.filter(({ atStart }) => atStart))).toEqual([]);
      // It is in the build, so it is no oversight of the pattern.
      expect(matching(outputs)).not.toEqual([]);
    });

    test('is the tables of the commands', () => {
      const atStart = outputs.filter((output) => output.atStart).flatMap(({ inputs }) => inputs);
      expect(atStart).toContain('src/main.ts');
      expect(atStart).toContain('src/commands/program.ts');
    });
  });
});

test(
  'libraries keep their named exports, also when a chunk is loaded on demand',
  async () => {
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
  },
  buildMs,
);

test(
  'of undici only our own copy is loaded, and of that what connections need',
  async () => {
    const { entryPoints: _, ...options } = bundleOptions(join(folder, 'connections'));
    const { metafile } = await build({
      ...options,
      entryNames: 'probe',
      splitting: false,
      stdin: {
        resolveDir: root,
        contents: `
        import { createServer } from 'node:http';
        import { makeDispatcher } from './src/kube/dispatcher.ts';
        const server = createServer((request, response) => response.end(request.url)).listen(0, '127.0.0.1');
        await new Promise((resolve) => server.once('listening', resolve));
        const origin = 'http://127.0.0.1:' + server.address().port;
        const direct = makeDispatcher({}, {});
        const { body } = await direct.request({ origin, path: '/asked', method: 'GET' });
        const proxies = ['http://127.0.0.1:1', 'socks5://127.0.0.1:1'];
        const others = proxies.map((proxyUrl) => makeDispatcher({ proxyUrl }, {}));
        const nodes = process.moduleLoadList.filter((each) => each.includes('deps/undici'));
        console.log(await body.text(), others.map((each) => typeof each.request).join(), nodes.join() || 'none');
        await direct.close();
        server.close();`,
      },
    });
    const inputs = Object.keys(metafile.inputs);
    expect(
      inputs.filter((each) => /undici\/lib\/(?:mock|web\/websocket|web\/eventsource)\//u.test(each)),
    ).toEqual([]);
    expect(inputs.some((each) => each.endsWith('undici/lib/dispatcher/client-h1.js'))).toBe(true);
    const { output, code } = await run('node', [join(folder, 'connections', 'probe.js')], {
      limitMs: 10_000,
    });
    // Above it undici says that SOCKS5 is new to it.
    expect(output).toMatch(/^\/asked function,function none$/mu);
    expect(code).toBe(0);
  },
  buildMs,
);

test(
  'a call to Alibaba Cloud warns nobody of what its packages should not use any more',
  async () => {
    const { entryPoints: _, ...options } = bundleOptions(join(folder, 'quiet'));
    const contents = `
    import { createServer } from 'node:http';
    import { createWireClient } from './providers/alibaba/client.ts';
    import { createSource } from './providers/alibaba/credentials/choose.ts';
    import { CredentialSession } from './providers/alibaba/credentials/session.ts';
    import { systemClock } from './src/core/clock.ts';
    const server = createServer((request, response) => response.end(JSON.stringify({ at: request.url.split('?')[0] })));
    server.listen(0, '127.0.0.1', async () => {
      const keys = { kind: 'access-key', accessKeyId: 'id', accessKeySecret: 'secret' };
      const session = new CredentialSession(createSource(keys, systemClock), systemClock);
      const client = createWireClient({ region: 'cn-hangzhou', endpoint: 'http://127.0.0.1:' + server.address().port, session });
      console.log(JSON.stringify(await client.call('DescribeLoadBalancers', { LoadBalancerName: 'ä b' })));
      client.close();
      server.close();
      server.closeAllConnections();
    });`;
    await build({ ...options, entryNames: 'quiet', stdin: { resolveDir: root, contents } });
    const { output, code } = await run('node', [join(folder, 'quiet', 'quiet.js')], { limitMs: 10_000 });
    expect(output).toBe('{"at":"/"}\n');
    expect(code).toBe(0);
  },
  buildMs,
);
