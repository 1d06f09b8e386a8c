/** Logs, metrics and the HTTP side: what a person or Prometheus gets to see, and what nobody may see. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SluiceError } from '../core/errors.ts';
import { objectKey } from '../core/objects.ts';
import type { Step } from '../core/plan.ts';
import { createLog } from './log.ts';
import type { LogOptions } from './log.ts';
import { createMetrics } from './metrics.ts';
import { metricTable } from './metric-table.ts';
import { redact } from './redact.ts';
import { parseListen } from './listening.ts';
import { startServer } from './server.ts';
import type { ServerSources } from './server.ts';
import { createTelemetry } from './telemetry.ts';

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    level: 'info',
    form: 'json',
    now: () => Date.UTC(2026, 10, 21, 14, 3, 7),
    ...options,
    write: (line) => void lines.push(line),
  });
  return { log, lines };
}

const web = objectKey('shop', 'web');
const register: Step = {
  id: 'registerTargets.80',
  operation: 'RegisterTargets',
  parameters: {},
  subject: 'target group web-80',
  reason: 'node n4 joined',
  risk: 'none',
  effect: { kind: 'other' },
  needs: [],
};

describe('the log', () => {
  test('is one JSON object a line, with time, level and the fields', () => {
    const { log, lines } = capture();
    log.with({ provider: 'aws' }).info('created', { service: web });
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: '2026-11-21T14:03:07.000Z',
      provider: 'aws',
      service: 'shop/web',
      msg: 'created',
    });
  });

  test('is a short line on a terminal', () => {
    const { log, lines } = capture({ form: 'text' });
    log.warn('held back', { service: web, why: 'too many' });
    expect(lines).toEqual(['14:03:07 warn  held back service=shop/web why="too many"\n']);
  });

  test.each(['json', 'text'] as const)('leaves out what is below its level (%s)', (form) => {
    const { log, lines } = capture({ level: 'warn', form });
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    expect(lines).toHaveLength(2);
  });

  test('tells an error of ours by kind and code, with its cause and without a stack', () => {
    const { log, lines } = capture();
    const cause = new Error('socket hang up');
    log.error('failed', {
      error: new SluiceError('throttled', 'slow down', {
        code: 'Throttling',
        action: 'CreateListener',
        cause,
      }),
    });
    const { error } = JSON.parse(lines[0] ?? '') as { error: Record<string, unknown> };
    expect(error).toMatchObject({ kind: 'throttled', code: 'Throttling', action: 'CreateListener' });
    expect(error['cause']).toMatchObject({ message: 'socket hang up' });
    expect(error).not.toHaveProperty('stack');
  });

  test('keeps the stack of a defect', () => {
    const { log, lines } = capture();
    log.error('failed', { error: new SluiceError('bug', 'oops', { code: 'X' }) });
    expect(lines[0]).toContain('observe.test.ts');
  });
});

describe('secrets', () => {
  test.each<[string, unknown]>([
    ['a field by its name', { secretAccessKey: 'wJalrXUtnFEMI' }],
    ['a field deep inside', { a: [{ b: { sessionToken: 'wJalrXUtnFEMI' } }] }],
    ['a header', { headers: { Authorization: 'wJalrXUtnFEMI' } }],
    ['a bearer token in a text', 'Authorization: Bearer wJalrXUtnFEMI'],
    ['a signed address', 'https://x.example/?X-Amz-Signature=wJalrXUtnFEMI&a=b'],
    ['a service-account token', 'token eyJwJalrXUtnFEMIa.eyJwJalrXUtnFEMIa.wJalrXUtnFEMI'],
    ['an access key id', 'key AKIAWJALRXUTNFEMI is not known'],
    ['a private key', '-----BEGIN RSA PRIVATE KEY-----\nwJalrXUtnFEMI\n-----END RSA PRIVATE KEY-----'],
  ])('%s is hidden', (_name, value) => {
    expect(JSON.stringify(redact(value)).toLowerCase()).not.toContain('wjalrxutnfemi');
  });

  test('in a message, a field and an error they do not reach a line', () => {
    const secret = 'ASIAQWERTYUIOPASDFGH';
    const { log, lines } = capture();
    log.error(`with ${secret}`, {
      field: secret,
      error: new SluiceError('denied', `key ${secret} expired`, { code: 'X', cause: new Error(secret) }),
    });
    expect(lines[0]).not.toContain(secret);
    expect(lines[0]).toContain('[key id]');
  });

  test('what is no secret stays as it is', () => {
    const value = { service: 'shop/web', ports: [80, 443], ready: true, none: null };
    expect(redact(value)).toEqual(value);
  });
});

describe('metrics', () => {
  test('every row of the table has a help text, a name of its own, and the suffix of its type', () => {
    const rows = Object.values(metricTable);
    expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
    for (const row of rows) {
      expect(row.help).toMatch(/\.$/u);
      if (row.type === 'counter') expect(row.name).toMatch(/_total$/u);
      if (row.type === 'histogram') expect(row.name).toMatch(/_seconds$/u);
    }
  });

  test('every row of the table is fed by something', () => {
    const folder = import.meta.dirname;
    const code = [
      'telemetry.ts',
      'metrics.ts',
      '../commands/agent-telemetry.ts',
      '../commands/agent-counters.ts',
      '../commands/agent-gauges.ts',
      '../commands/agent-run.ts',
      '../commands/agent-announce.ts',
    ]
      .map((file) => readFileSync(`${folder}/${file}`, 'utf8'))
      .join('');
    expect(Object.keys(metricTable).filter((id) => !code.includes(`'${id}'`))).toEqual([]);
  });

  test('are exported in the Prometheus format, times in seconds', async () => {
    const metrics = createMetrics({ version: '1.2.3', processMetrics: false });
    metrics.count('cloudCalls', { provider: 'aws', operation: 'CreateListener', outcome: 'ok' });
    metrics.time('addressSeconds', { provider: 'aws' }, 1500);
    const text = await metrics.text();
    expect(text).toContain(
      'sluice_cloud_calls_total{provider="aws",operation="CreateListener",outcome="ok"} 1',
    );
    expect(text).toContain('sluice_address_seconds_sum{provider="aws"} 1.5');
    expect(text).toContain('sluice_build_info{version="1.2.3"');
  });

  test('states are read when asked for, and a state that is over disappears', async () => {
    const metrics = createMetrics({ version: '1', processMetrics: false });
    let reason = 'Provisioning';
    metrics.readFrom({ queue: () => ({ depth: 3, oldestMs: 2500, working: 1 }), leaseHeld: () => true });
    metrics.readFrom({ conditions: () => [{ type: 'Provisioned', status: 'False', reason }] });
    const before = await metrics.text();
    expect(before).toContain('sluice_queue_depth 3');
    expect(before).toContain('sluice_queue_oldest_seconds 2.5');
    expect(before).toContain('sluice_lease_held 1');
    expect(before).toContain('reason="Provisioning"} 1');
    reason = 'Active';
    const after = await metrics.text();
    expect(after).toContain('reason="Active"} 1');
    expect(after).not.toContain('Provisioning');
  });

  test('pools are told by family, and one that is gone, or that another replica leads for, is not', async () => {
    const metrics = createMetrics({ version: '1', processMetrics: false });
    const none = { inUse: 0, free: 0 };
    let names = ['office', 'lab'];
    metrics.readFrom({
      pools: () =>
        names.map((name) => ({ name, waiting: 2, families: { IPv4: { inUse: 3, free: 1 }, IPv6: none } })),
    });
    const before = await metrics.text();
    expect(before).toContain('sluice_pool_addresses{pool="office",ip_family="IPv4",state="in-use"} 3');
    expect(before).toContain('sluice_pool_addresses{pool="lab",ip_family="IPv4",state="free"} 1');
    expect(before).toContain('sluice_pool_waiting{pool="office"} 2');
    expect(before).not.toContain('ip_family="IPv6"');
    names = ['office'];
    expect(await metrics.text()).not.toContain('pool="lab"');
    names = [];
    expect(await metrics.text()).not.toContain('pool="office"');
  });

  test('an agent exports its own and what both have, a controller none of the agent', async () => {
    const agent = await createMetrics({ of: 'agent', version: '1', processMetrics: false }).text();
    const controller = await createMetrics({ version: '1', processMetrics: false }).text();
    expect(agent).toContain('kubeproxy_sync_proxy_rules_endpoint_changes_total 0');
    expect(agent).toContain('sluice_build_info');
    expect(agent).not.toContain('service_controller_');
    expect(controller).not.toMatch(/kubeproxy_|sluice_agent_/u);
  });

  test('two registries in one process do not mix', async () => {
    const one = createMetrics({ version: '1', processMetrics: true });
    const two = createMetrics({ version: '1', processMetrics: true });
    one.count('syncs', {});
    expect(await one.text()).toContain('service_controller_loadbalancer_sync_total 1');
    expect(await two.text()).toContain('service_controller_loadbalancer_sync_total 0');
  });
});

describe('telemetry', () => {
  function make() {
    const { log, lines } = capture();
    const metrics = createMetrics({ version: '1', processMetrics: false });
    return { telemetry: createTelemetry({ log, metrics }), lines, metrics };
  }

  test('a write to a cloud is one line with its reason, and one count', async () => {
    const { telemetry, lines, metrics } = make();
    telemetry.step(
      web,
      'aws',
      register,
      { TargetGroupArn: 'arn:x', Targets: [{ Id: 'i-4' }] },
      41.4,
      undefined,
    );
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'RegisterTargets',
      service: 'shop/web',
      reason: 'node n4 joined',
      risk: 'none',
      ms: 41,
      parameters: '{"TargetGroupArn":"arn:x","Targets":[{"Id":"i-4"}]}',
    });
    expect(await metrics.text()).toContain(
      'sluice_plan_steps_total{provider="aws",operation="RegisterTargets",risk="none",outcome="ok"} 1',
    );
  });

  test('a thousand targets do not make a line of a thousand targets', () => {
    const { telemetry, lines } = make();
    const targets = Array.from({ length: 1000 }, (_, index) => ({ Id: `i-${index}` }));
    telemetry.step(web, 'aws', register, { Targets: targets }, 1, undefined);
    expect(lines[0]?.length).toBeLessThan(900);
  });

  test('a pass that found everything in order is silent', () => {
    const { telemetry, lines } = make();
    telemetry.pass(web, 'aws', 'unchanged', 3);
    expect(lines).toEqual([]);
  });

  test('a pass that changed targets is timed as such, once', async () => {
    const { telemetry, metrics } = make();
    const step: Step = { ...register, effect: { kind: 'addTargets', group: 'g', count: 1 } };
    telemetry.step(web, 'aws', step, {}, 5, undefined);
    telemetry.pass(web, 'aws', 'changed', 50);
    telemetry.pass(web, 'aws', 'changed', 50);
    const text = await metrics.text();
    expect(text).toContain('service_controller_update_loadbalancer_host_latency_seconds_count 1');
    expect(text).toContain('service_controller_loadbalancer_sync_total 2');
  });

  test('a throttled call is counted as such', async () => {
    const { telemetry, metrics, lines } = make();
    const error = new SluiceError('throttled', 'slow down', { code: 'Throttling' });
    telemetry.call('aws', { operation: 'DescribeTags', ms: 5, waitedMs: 100, error });
    const text = await metrics.text();
    expect(text).toContain('sluice_cloud_throttled_total{provider="aws",operation="DescribeTags"} 1');
    expect(text).toContain('operation="DescribeTags",outcome="throttled"} 1');
    expect(lines).toEqual([]);
  });

  test('strays are told when they appear, not at every survey', () => {
    const { telemetry, lines } = make();
    const stray = { uid: web as never, service: web, resources: ['arn:x'] };
    telemetry.strays('aws', []);
    telemetry.strays('aws', [stray]);
    telemetry.strays('aws', [stray]);
    telemetry.strays('aws', []);
    expect(lines).toHaveLength(1);
  });
});

describe('the HTTP side', () => {
  async function withServer(
    sources: Partial<ServerSources>,
    use: (get: (path: string, init?: RequestInit) => Promise<Response>) => Promise<void>,
  ): Promise<void> {
    const server = await startServer('127.0.0.1:0', {
      health: () => [],
      ready: () => [],
      metrics: async () => ({ text: 'a 1\n', contentType: 'text/plain' }),
      service: () => undefined,
      queue: () => ({ waiting: [] }),
      ...sources,
    });
    try {
      await use((path, init) => fetch(`http://127.0.0.1:${server.port}${path}`, init));
    } finally {
      await server.close();
    }
  }

  test('readiness names the check that fails', async () => {
    const ready = () => [
      { name: 'synced', ok: true, message: '' },
      { name: 'lease', ok: false, message: 'nobody holds it' },
    ];
    await withServer({ ready }, async (get) => {
      const response = await get('/readyz?verbose');
      expect(response.status).toBe(503);
      expect(await response.text()).toBe('[+] synced ok\n[-] lease failed: nobody holds it\nnot ok\n');
      expect((await get('/healthz')).status).toBe(200);
    });
  });

  test('shows a Service by its name, without secrets, and says when it does not know one', async () => {
    const service = (namespace: string, name: string) =>
      name === 'web' ? { namespace, name, authToken: 'abc' } : undefined;
    await withServer({ service }, async (get) => {
      const known = await get('/debug/services/shop/web');
      expect(await known.json()).toEqual({ namespace: 'shop', name: 'web', authToken: '[hidden]' });
      const unknown = await get('/debug/services/shop/api');
      expect(unknown.status).toBe(404);
      expect(await unknown.text()).toContain('Service shop/api is not known here');
    });
  });

  test('serves metrics and the queue, knows its paths, and takes nothing but reads', async () => {
    await withServer({}, async (get) => {
      expect(await (await get('/metrics')).text()).toBe('a 1\n');
      expect(await (await get('/debug/queue')).json()).toEqual({ waiting: [] });
      expect(await (await get('/debug/services/../../etc')).text()).toContain('known are');
      expect((await get('/healthz', { method: 'POST' })).status).toBe(405);
      expect(await (await get('/healthz', { method: 'HEAD' })).text()).toBe('');
    });
  });

  test('a failing source is an answer, not the end of the process', async () => {
    const queue = () => {
      throw new Error('no queue, key AKIAQWERTYUIOPASDFGH');
    };
    await withServer({ queue }, async (get) => {
      const response = await get('/debug/queue');
      expect(response.status).toBe(500);
      expect(await response.text()).toBe('no queue, key [key id]\n');
    });
  });

  test('an address in use is a conflict that names it', async () => {
    await withServer({}, async (get) => {
      const { port } = new URL((await get('/healthz')).url);
      const second = startServer(`127.0.0.1:${port}`, {
        health: () => [],
        ready: () => [],
        metrics: async () => ({ text: '', contentType: '' }),
        service: () => undefined,
        queue: () => undefined,
      });
      await expect(second).rejects.toMatchObject({ kind: 'conflict', code: 'EADDRINUSE' });
    });
  });

  test.each([
    [':8080', undefined, 8080],
    ['127.0.0.1:9', '127.0.0.1', 9],
    ['[::1]:9', '::1', 9],
  ])('%s is an address to listen on', (listen, host, port) => {
    expect(parseListen(listen)).toEqual({ host, port });
  });
});
