/**
 * What keeps the agent from writing, and what it then leaves as it was: a lock that somebody holds, a rule that the
 * tool refuses, lists that are not complete; and Services that are taken from it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { apply, create, remove, type Manifest } from '../../src/sandbox/objects.ts';
import {
  AgentGround,
  at,
  kinds,
  nodePortOf,
  notesOf,
  proxyName,
  rulesOf,
  says,
  service,
  told,
  web,
  wroteAll,
} from './agent-ground.ts';
import { logOf } from './agent-process.ts';
import type { Prober } from '../../src/sandbox/bed/ongoing.ts';
import type { Destination } from '../../src/sandbox/bed/traffic.ts';
import { until } from './check.ts';
import { holdLock } from './iptables-bench.ts';

const ground = new AgentGround();
let users = 0;

describe('the lock of xtables and a refused rule', () => {
  test('a lock that somebody holds for thirty seconds delays a change, and leaves no half of it', async () => {
    await ground.cluster.become([service(), ground.slice(['n1-a'])]);
    const agent = await ground.start(kinds[2][1]);
    await ground.serves(agent, 'n1-a');
    await wroteAll(agent);
    const before = await ground.bed.succeed('n1', 'iptables-legacy-save', ['-t', 'nat']);
    const probers = await ground.watching(7, 20);
    {
      await using _ = await holdLock(ground.bed.lockFile('n1'));
      const begun = performance.now();
      await apply(ground.cluster.api, ground.slice(['n2-a']));
      await says(agent, 'lock');
      expect(rulesOf(await ground.bed.succeed('n1', 'iptables-legacy-save', ['-t', 'nat']))).toBe(
        rulesOf(before),
      );
      expect(await ground.who()).toBe('n1-a');
      while (performance.now() - begun < 30_000) await sleep(500);
      expect(rulesOf(await ground.bed.succeed('n1', 'iptables-legacy-save', ['-t', 'nat']))).toBe(
        rulesOf(before),
      );
      // The tool waits five seconds each time, and the agent longer and longer between two.
      const refusals = (await logOf(agent)).filter(({ error }) =>
        JSON.stringify(error ?? '').includes('lock'),
      );
      expect(refusals.length).toBeGreaterThan(2);
      expect(refusals.length).toBeLessThan(2 + (performance.now() - begun) / 5_000);
    }
    await ground.serves(agent, 'n2-a');
    expect(await probers.lost()).toEqual([]);
  });

  test('one port that the tool refuses is left out with an event, and the others are written', async () => {
    await ground.cluster.become([service(), ground.slice(['n1-a'])]);
    // A tool that does not like one endpoint: what an old or broken iptables does with a rule that it does not know.
    const folder = join(await ground.bed.folder(), 'picky');
    await mkdir(folder, { recursive: true });
    const file = join(folder, 'iptables-nft-restore');
    await writeFile(file, pickyRestore);
    await chmod(file, 0o755);
    const through = ['env', `PATH=${folder}:${process.env['PATH'] ?? ''}`];
    const agent = await ground.start(kinds[1][1], { through });
    await ground.serves(agent, 'n1-a');
    const bad = service({ name: 'bad', host: 8 });
    await create(ground.cluster.api, bad);
    onTestFinished(async () => {
      for (const object of [
        bad,
        ground.slice(['n2-b'], 'bad'),
        service({ name: 'good', host: 9 }),
        ground.slice(['n2-a'], 'good'),
      ])
        await remove(ground.cluster.api, object);
    });
    await create(ground.cluster.api, ground.slice(['n2-b'], 'bad'));
    await create(ground.cluster.api, service({ name: 'good', host: 9 }));
    await create(ground.cluster.api, ground.slice(['n2-a'], 'good'));
    await ground.serves(agent, 'n2-a', at(9));
    expect(await ground.who()).toBe('n1-a');
    await says(agent, 'the kernel refuses a port');
    await until('an event is there', async () => {
      const answer = await ground.cluster.api.request(
        'GET',
        '/apis/events.k8s.io/v1/namespaces/default/events',
      );
      return notesOf(answer).some((note) => note.includes('is left out'));
    });
    // Once it can be written, it is: the endpoint is another one.
    await apply(ground.cluster.api, ground.slice(['n2-a'], 'bad'));
    await ground.serves(agent, 'n2-a', at(8));
  });
});

describe('what comes late, and what goes', () => {
  test('nothing is written while slices are not listed yet; the rules of before stay', async () => {
    await ground.cluster.become([service(), ground.slice(['n1-a'])]);
    const first = await ground.start();
    await ground.serves(first, 'n1-a');
    await wroteAll(first);
    await first.stop(0);
    const before = await ground.kernel();
    // A user who may read Services and nodes, but not slices yet; each try another one.
    users += 1;
    const user = `late-${users}`;
    const access = await ground.cluster.controlPlane.addUser({ user });
    const may = (...resources: readonly (readonly [string, string])[]): readonly Manifest[] => [
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: user },
        rules: resources.map(([group, resource]) => ({
          apiGroups: [group],
          resources: [resource],
          verbs: ['get', 'list', 'watch'],
        })),
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: user },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user },
        subjects: [{ kind: 'User', name: user, apiGroup: 'rbac.authorization.k8s.io' }],
      },
    ];
    for (const object of may(['', 'services'], ['', 'nodes'])) await apply(ground.cluster.api, object);
    await apply(ground.cluster.api, ground.slice(['n2-a']));
    const late = await ground.start([], { kubeconfig: access.path });
    await says(late, 'reading endpointslices failed');
    await sleep(1_000);
    expect(await ground.kernel()).toBe(before);
    expect((await logOf(late)).filter(({ msg }) => msg.startsWith('wrote'))).toEqual([]);
    for (const object of may(['', 'services'], ['', 'nodes'], ['discovery.k8s.io', 'endpointslices']))
      await apply(ground.cluster.api, object);
    await ground.serves(late, 'n2-a');
  });

  test.each(kinds)(
    'with %s, flows of a Service that was deleted while nobody looked are forgotten at the start',
    async (_, args) => {
      const { bed } = ground;
      const kept = service({ name: 'kept', host: 9 });
      await ground.cluster.become([service(), ground.slice(['n1-a']), kept, ground.slice(['n1-a'], 'kept')]);
      const first = await ground.start(args);
      await ground.serves(first, 'n1-a');
      await ground.serves(first, 'n1-a', at(9));
      await wroteAll(first);
      const outside = { address: bed.node('n1').address.IPv4, port: nodePortOf() + 1 };
      const flows: Prober[] = [];
      for (const [from, to] of [
        ['n1-b', { ...web, port: 53 }],
        ['x1', outside],
        ['n1-b', { ...at(9), port: 53 }],
      ] as const) {
        const flow = await bed.flow(
          from,
          { ...to, protocol: 'UDP' },
          { everyMs: 20, sourcePort: 41_790 + flows.length },
        );
        flows.push(flow);
        await until('the flow is answered', async () => (await flow.peek()).at(-1)?.self === 'n1-a');
      }
      await first.stop(0);
      await ground.cluster.become([kept, ground.slice(['n1-a'], 'kept')]);
      const second = await ground.start(args);
      const [inside, client, other] = flows;
      await told(
        second,
        until('nobody answers the flows', async () => {
          await Promise.all([inside?.peek(), client?.peek()]);
          await sleep(300);
          const last = await Promise.all([inside, client].map(async (flow) => (await flow?.peek()) ?? []));
          return last.every((list) => list.length > 5 && list.every(({ self }) => self === ''));
        }),
      );
      await other?.peek();
      await sleep(200);
      expect((await other?.peek())?.every(({ self }) => self === 'n1-a')).toBe(true);
      for (const flow of flows) await flow.close();
    },
  );

  test('a Service that is given to another proxy loses its rules, its tracked flows and its health port', async () => {
    const mine = service({
      spec: {
        type: 'LoadBalancer',
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 30_599,
        loadBalancerClass: 'example.com/none',
      },
    });
    await ground.cluster.become([mine, ground.slice(['n1-a'])]);
    const agent = await ground.start();
    await ground.serves(agent, 'n1-a');
    const health = { address: ground.bed.node('n1').address.IPv4, port: 30_599 };
    await until(
      'the health port is open',
      async () => (await ground.bed.dial('x1', health)).kind !== 'refused',
    );
    const dns: Destination = { ...web, port: 53, protocol: 'UDP' };
    const flow = await ground.bed.flow('n1-b', dns, { everyMs: 20, sourcePort: 41_777 });
    await until('the flow is answered', async () => (await flow.peek()).at(-1)?.self === 'n1-a');
    const tracked = async (): Promise<boolean> => {
      const list = await ground.bed.run('n1', 'conntrack', ['-L', '-p', 'udp', '--orig-dst', web.address]);
      return list.stdout.includes(`src=${ground.bed.pod('n1-a').address.IPv4}`);
    };
    expect(await tracked()).toBe(true);

    await apply(ground.cluster.api, {
      ...mine,
      metadata: { ...mine.metadata, labels: { [proxyName]: 'another' } },
    });
    await until('the rules are gone', async () => (await ground.who()) === undefined);
    await until('the flow is not answered', async () => (await flow.peek()).at(-1)?.self === '');
    await until('nothing of it is tracked', async () => !(await tracked()));
    await until('nobody listens', async () => (await ground.bed.dial('x1', health)).kind === 'refused');
    await flow.close();
    await apply(ground.cluster.api, mine);
    await ground.serves(agent, 'n1-a');
  });
});

const pickyRestore = `#!/bin/bash
text=$(cat)
number=$(grep -n -m1 -- '--to-destination 10.244.2.11:' <<<"$text" | cut -d: -f1)
if [ -n "$number" ]; then echo "iptables-restore: line $number failed" >&2; exit 1; fi
exec /usr/sbin/iptables-nft-restore "$@" <<<"$text"
`;
