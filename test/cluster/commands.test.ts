/**
 * The commands as a user runs them: the real program, a real API server, the account over the wire. Every
 * answer is judged by its exit code and by what it tells the user; a stack trace is never an answer.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { statusOf, until } from '../../src/sandbox/demo/stage.ts';
import { apply, remove } from '../../src/sandbox/objects.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import { finalizer, finalizersOf, Ground } from './ground.ts';
import { sluice, type Answer } from './program.ts';

describe('on a cluster', () => {
  let ground: Ground;

  beforeAll(async () => {
    ground = await Ground.open({ aws: { delays: { provisioningMs: 200 } } });
  }, 600_000);

  afterEach(() => ground.tidy());

  afterAll(async () => {
    await ground?.close();
  });

  /** A command on this cluster. */
  const environment = () => ({
    KUBECONFIG: ground.sandbox.kubeconfig,
    SLUICE_CONFIG: ground.sandbox.settings,
  });
  const run = (...args: readonly string[]): Promise<Answer> => sluice(args, environment());

  test('plan says 0 when nothing is to do, 2 with every call when something is, 1 at a problem', async () => {
    const service = await ground.served();
    const name = service.metadata?.name ?? '';
    const mark = await ground.mark();
    const quiet = await run('plan');
    expect(quiet).toMatchObject({ code: 0, err: '' });
    expect(quiet.out).toContain(`default/${name}  on aws: no changes`);

    // A controller that is down leaves work to plan.
    await ground.stopController();
    await ground.change(service, {
      spec: {
        ports: [
          { name: 'http', port: 80 },
          { name: 'alt', port: 8080 },
        ],
      },
    });
    const changes = await run('plan', `default/${name}`);
    expect(changes).toMatchObject({ code: 2, err: '' });
    expect(changes.out).toContain('+ CreateTargetGroup');
    expect(changes.out).toContain('+ RegisterTargets');
    expect(changes.out).toContain('+ CreateListener');
    expect(changes.out).toMatch(/Plan: 3 to add, 0 to change, 0 to take away, for 1 Service/u);
    const json = await run('plan', '--output', 'json');
    expect(json.code).toBe(2);
    const document = JSON.parse(json.out) as {
      readonly services: readonly { readonly steps: readonly { readonly operation: string }[] }[];
    };
    expect(document).toMatchObject({ apiVersion: 'sluice.dev/v1alpha1', kind: 'Plan' });
    expect(
      document.services.flatMap(({ steps }) => steps.map(({ operation }) => operation)).toSorted(),
    ).toEqual(['CreateListener', 'CreateTargetGroup', 'RegisterTargets']);

    await ground.annotate(service, { scheme: 'internl' });
    const problem = await run('plan', name);
    expect(problem.code).toBe(1);
    expect(problem.out).toContain('"internl"');
    // Planning never writes, whatever it finds.
    expect((await ground.writesSince(mark)).filter(({ by }) => by === 'user')).toEqual([]);
    await ground.annotate(service, { scheme: null });
    await ground.sandbox.startController();
    await ground.gone(service);
  });

  test('plan and explain of what is not there name it, and where to look', async () => {
    expect(await run('plan', 'nowhere')).toMatchObject({
      code: 1,
      out: '',
      err: 'error: there is no Service nowhere\n',
    });
    expect(await run('explain', 'svc/nowhere', '-n', 'shop')).toMatchObject({
      code: 1,
      out: '',
      err: 'sluice: there is no Service nowhere in namespace shop; see kubectl get services -n shop\n',
    });
  });

  test('explain: healthy, with a typo, broken, and somebody else’s', async () => {
    const service = await ground.served();
    const { name = '' } = service.metadata ?? {};
    await ground.tells(service, 'Provisioned', 'True', 'Active');
    await ground.warned(service, 'EnsuredLoadBalancer');
    const { address } = statusOf(await ground.live(service));
    const healthy = await until('a healthy answer', async () => {
      const answer = await run('explain', `svc/${name}`);
      return answer.code === 0 ? answer : undefined;
    });
    expect(healthy.value.out).toContain(`All is well: reachable at ${address}`);
    expect(healthy.value.out).toContain('served by provider aws');
    expect(healthy.value.out).toContain('EnsuredLoadBalancer');

    await ground.annotate(service, { 'healthcheck-intervall': '10', 'sluice.dev/pausd': 'true' });
    await ground.tells(service, 'Accepted', 'True', 'UnknownAnnotation');
    const typo = await run('explain', name);
    expect(typo.code).toBe(0);
    expect(typo.out).toContain('with 2 warnings: see Problems');
    expect(typo.out).toContain('did you mean "sluice.dev/paused"?');
    expect(typo.out).toContain('aws-load-balancer-healthcheck-interval"?');

    await ground.annotate(service, { 'healthcheck-intervall': null, 'sluice.dev/pausd': null });
    await ground.annotate(service, { 'healthcheck-timeout': 'soon' });
    const broken = await run('explain', name, '--output', 'json');
    expect(broken.code).toBe(1);
    expect(JSON.parse(broken.out)).toMatchObject({
      kind: 'Explanation',
      ok: false,
      addresses: [address],
      problems: [{ severity: 'error', reason: 'InvalidAnnotation' }],
    });

    const theirs = ground.service({
      spec: { loadBalancerClass: null },
      annotations: { 'service.beta.kubernetes.io/aws-load-balancer-type': 'external' },
    });
    await apply(ground.api, theirs);
    const foreign = await run('explain', theirs.metadata?.name ?? '');
    expect(foreign.code).toBe(1);
    expect(foreign.out).toContain('Left alone');
    expect(foreign.out).toContain('aws-load-balancer-controller');
    expect(foreign.out).toContain('Cure: Set spec.loadBalancerClass');
    await remove(ground.api, theirs);
    await ground.gone(service);
  });

  test('wrong kubeconfigs and clusters that do not answer are told in a line with the cure', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
    try {
      const text = await readFile(ground.sandbox.kubeconfig, 'utf8');
      const file = async (name: string, content: string): Promise<string> => {
        await writeFile(join(folder, name), content);
        return join(folder, name);
      };
      const nobody = await file('nobody', text.replace(/https:\/\/127\.0\.0\.1:\d+/u, 'https://127.0.0.1:1'));
      const garbled = await file('garbled', '{ not yaml');
      for (const command of [
        ['plan'],
        ['explain', 'svc/web'],
        ['uninstall', '--balancers', 'keep', '--yes'],
      ]) {
        const missing = await run(...command, '--kubeconfig', join(folder, 'missing'));
        expect(missing).toMatchObject({ code: 1, out: '' });
        expect(missing.err).toContain('missing, which cannot be read');
        const context = await run(...command, '--context', 'nope');
        expect(context.code).toBe(1);
        expect(context.err).toContain('no context "nope"; choose one of: sluice-sandbox');
        const silent = await run(...command, '--kubeconfig', nobody);
        expect(silent).toMatchObject({ code: 1, out: '' });
        expect(silent.err).toContain('no answer from https://127.0.0.1:1');
        const nonsense = await run(...command, '--kubeconfig', garbled);
        expect(nonsense.code).toBe(1);
        expect(nonsense.err).toContain(garbled);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('uninstall wants to know what becomes of the balancers, and waits for the Lease', async () => {
    const none = await run('uninstall');
    expect(none).toMatchObject({ code: 64, out: '' });
    expect(none.err).toContain('--balancers delete or --balancers keep');
    const asked = await ground.served();
    const unasked = await run('uninstall', '--balancers', 'keep');
    expect(unasked.code).toBe(1);
    expect(unasked.err).toContain('say --yes to go on');
    expect(finalizersOf(await ground.live(asked))).toEqual([finalizer]);

    // With --balancers keep and a controller that gives the Lease up while the command waits.
    const { name = '' } = asked.metadata ?? {};
    const before = await ground.held(asked);
    const { address } = statusOf(await ground.live(asked));
    const waits = Promise.withResolvers<void>();
    const kept = sluice(['uninstall', '--balancers', 'keep', '--yes'], environment(), (text) => {
      if (text.includes('waiting for')) waits.resolve();
    });
    await Promise.race([waits.promise, kept]);
    expect(finalizersOf(await ground.live(asked))).toEqual([finalizer]);
    await ground.stopController();
    const answer = await kept;
    expect(answer).toMatchObject({ code: 0 });
    expect(answer.err).toContain('to give the Lease up');
    expect(answer.out).toContain(`default/${name}  ${address}`);
    const live = await ground.live(asked);
    expect(finalizersOf(live)).toEqual([]);
    expect(statusOf(live).address).toBe(address);
    expect((await ground.held(asked)).balancers).toEqual(before.balancers);

    // A controller that comes back takes the Service up where it was left.
    await ground.sandbox.startController();
    await ground.sees(asked, 'is ours again', (one) => finalizersOf(one).includes(finalizer));
    const after = await ground.held(asked);
    expect(after.balancers.map((one) => one['LoadBalancerArn'])).toEqual(
      before.balancers.map((one) => one['LoadBalancerArn']),
    );
    await ground.stopController();

    const second = ground.service();
    await apply(ground.api, second);
    const deleted = await run('uninstall', '--balancers', 'delete', '--yes');
    expect(deleted).toMatchObject({ code: 0, err: '' });
    expect(deleted.out).toContain('DELETED');
    expect(finalizersOf(await ground.live(asked))).toEqual([]);
    expect(statusOf(await ground.live(asked))).toEqual({ address: '', conditions: [] });
    expect(await ground.names()).toEqual([]);
    const nothing = await run('uninstall', '--balancers', 'delete', '--yes');
    expect(nothing).toMatchObject({ code: 0, err: '' });
    expect(nothing.out).toContain('nothing to do');
    await remove(ground.api, asked);
    await remove(ground.api, second);
    expect(await ground.live(asked)).toBeUndefined();
  });
});

describe('without a cluster', () => {
  test('plan -f of the examples shows every call and reports 2', async () => {
    const answer = await sluice(['plan', '-f', fileURLToPath(new URL('examples', packageRoot))]);
    expect(answer).toMatchObject({ code: 2, err: '' });
    expect(answer.out).toContain('+ CreateLoadBalancer');
    expect(answer.out).toMatch(/Plan: \d+ to add, \d+ to change, 0 to take away, for \d+ Services\.\n$/u);
  });

  test('mistakes in the settings are told all at once, by every command that reads them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
    try {
      const file = join(folder, 'bad.yaml');
      await writeFile(
        file,
        `apiVersion: sluice.dev/v1alpha1
kind: Config
cluster: {nam: prod}
controller: {workers: many, drift: {surveyEvery: 1s}}
providers:
  aws: {region: 7, subnets: {internal: subnet-a}, sbnets: {}}
`,
      );
      for (const command of [
        ['controller'],
        ['plan'],
        ['explain', 'svc/web'],
        ['uninstall', '--balancers', 'keep'],
      ]) {
        const answer = await sluice([...command, '--config', file]);
        expect(answer).toMatchObject({ code: 1, out: '' });
        const lines = answer.err.trimEnd().split('\n');
        expect(lines.length).toBe(6);
        for (const [line, field] of lines.map((one, index) => [
          one,
          [
            ':3:11: cluster.nam',
            ':4:14: controller.workers',
            ':4:37: controller.drift.surveyEvery',
            ':6:9: providers.aws.region',
            ':6:30: providers.aws.subnets.internal',
            ':6:51: providers.aws.sbnets',
          ][index],
        ]))
          expect(line).toContain(`${file}${field}`);
      }
      const missing = await sluice(['controller', '--config', join(folder, 'none.yaml')]);
      expect(missing).toMatchObject({ code: 1, out: '' });
      expect(missing.err).toContain('there is no such file; name it with --config FILE');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test.for([
    [['explan'], 'there is no command "explan"; did you mean explain?'],
    [['plan', '--ouput', 'json'], '--ouput'],
    [['plan', '--output', 'yaml'], 'it must be one of text, json'],
    [['explain'], 'explain needs svc/NAME'],
    [['explain', 'a', 'b'], '"b" is too much'],
    [['sandbox', '--latency', 'slow'], '--latency'],
    [['uninstall', '--balancers', 'maybe'], 'it must be one of delete, keep'],
    [['plan', '--', 'ls'], 'plan takes nothing behind --'],
    [[], 'sluice'],
  ] as const)('%j is refused with 64 and a hint', async ([args, hint]) => {
    const answer = await sluice(args);
    expect(answer).toMatchObject({ code: 64, out: '' });
    expect(answer.err).toContain(hint);
  });
});
