/**
 * Laptop mode as a user runs it: `sluice local` against a real API server, real sockets, servers of the test in the
 * place of node ports.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, read, remove } from '../../src/sandbox/objects.ts';
import { merge } from '../../src/sandbox/demo/patch.ts';
import { ask, askUdp, LaptopGround, tcpEcho, udpEcho, type Echo } from './laptop-ground.ts';

let ground: LaptopGround;
const echoes: Echo[] = [];

beforeAll(async () => {
  ground = await LaptopGround.open();
  await ground.node('n1', '127.77.0.1');
  await ground.node('n2', '127.77.0.2');
});

// What a test leaves behind must not be in the way of the next one, or of its second try.
afterEach(async () => {
  await ground.tidy();
  for (const echo of echoes.splice(0)) await echo.close();
});

afterAll(async () => {
  await ground.close();
});

test('a Service gets an address of this machine, answers on it, and is left as it was found on Ctrl-C', async () => {
  const service = ground.service({ ports: [{ name: 'http', port: 8081 }] }, 'plain');
  await apply(ground.api, service);
  const nodePort = await ground.nodePort(service, 8081);
  echoes.push(await tcpEcho('127.77.0.1', nodePort, 'n1'), await tcpEcho('127.77.0.2', nodePort, 'n2'));
  const local = ground.local();
  const row = await ground.shows(
    local,
    'plain',
    'is ready, with both nodes',
    ({ state, ports }) => state === 'ready' && ports[0]?.healthy === 2,
  );
  const [address = ''] = row.addresses;
  expect(address).toMatch(/^127\.(8\d|9[0-5])\./u);
  const answers = new Set<string | undefined>();
  for (let i = 0; i < 6; i += 1) answers.add(await ask(address, 8081, 'hello'));
  expect(answers).toEqual(new Set(['n1\nhello', 'n2\nhello']));
  const { value: live } = await untilService(
    ground.api,
    service,
    'shows the address',
    (one) => statusOf(one).address !== '',
  );
  expect(statusOf(live).address).toBe(address);
  expect(live?.['status']).toMatchObject({ loadBalancer: { ingress: [{ ip: address, ipMode: 'Proxy' }] } });
  expect(await local.end()).toBe(0);
  const after = await read(ground.api, service);
  expect(statusOf(after)).toEqual({ address: '', conditions: [] });
  expect(after?.metadata?.finalizers ?? []).toEqual([]);
  expect(await ask(address, 8081)).toBeUndefined();
  // The next start gives the same address, and so it does for the Service made anew.
  const again = ground.local();
  expect(
    (await ground.shows(again, 'plain', 'is ready', ({ state }) => state === 'ready')).addresses,
  ).toEqual([address]);
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  await apply(ground.api, service);
  await ground.shows(again, 'plain', 'has its address again', ({ addresses }) => addresses[0] === address);
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  expect(await again.end()).toBe(0);
});

test('TCP and UDP on one number; ports come, go and change without cutting others', async () => {
  const ports = [
    { name: 'dns', port: 5353, protocol: 'TCP', nodePort: 30_001 },
    { name: 'dns-udp', port: 5353, protocol: 'UDP', nodePort: 30_001 },
  ];
  const service = ground.service({ ports }, 'dns');
  await apply(ground.api, service);
  for (const name of ['n1', 'n2']) {
    const address = `127.77.0.${name.slice(1)}`;
    echoes.push(await tcpEcho(address, 30_001, name), await udpEcho(address, 30_001, name));
    echoes.push(await tcpEcho(address, 30_002, `${name}-more`));
  }
  const local = ground.local();
  const row = await ground.shows(local, 'dns', 'is ready', ({ state }) => state === 'ready');
  const [address = ''] = row.addresses;
  expect(await ask(address, 5353, 'q')).toMatch(/^n[12]\nq$/u);
  expect(await askUdp(address, 5353, 'q')).toMatch(/^n[12]:q$/u);

  const { connect } = await import('node:net');
  const standing = connect(5353, address);
  // Where the test fails it is cut.
  standing.on('error', () => undefined);
  let heard = '';
  standing.on('data', (data: Buffer) => {
    heard += data.toString();
  });
  await until('the greeting', () => Promise.resolve(heard === '' ? undefined : heard));
  const more = { name: 'more', port: 5354, protocol: 'TCP', nodePort: 30_002 };
  await merge(ground.api, service, { spec: { ports: [...ports, more] } });
  await ground.shows(
    local,
    'dns',
    'has the new port',
    (one) => one.ports.length === 3 && one.state === 'ready',
  );
  expect(await ask(address, 5354, 'x')).toMatch(/^n[12]-more\nx$/u);
  const first = ports[0];
  await merge(ground.api, service, {
    spec: {
      ports: [
        { ...first, port: 5353 },
        { ...more, port: 5355 },
      ],
    },
  });
  await ground.shows(
    local,
    'dns',
    'has the changed port',
    ({ ports: [, changed], ...one }) =>
      one.state === 'ready' && changed?.port === 5355 && changed.listenPort === 5355,
  );
  expect(await ask(address, 5355, 'x')).toMatch(/^n[12]-more\nx$/u);
  await until('the old port is shut', async () =>
    (await ask(address, 5354)) === undefined ? true : undefined,
  );
  expect(await askUdp(address, 5353, 'q', 300)).toBeUndefined();
  // What stood through all of it still stands.
  standing.write('still');
  await until('the echo', () => Promise.resolve(heard.endsWith('still') ? heard : undefined));
  standing.destroy();
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  expect(await local.end()).toBe(0);
});

test('policy Local leads to nodes with endpoints only, and follows them', async () => {
  const service = ground.service(
    { ports: [{ port: 7000, nodePort: 30_010 }], externalTrafficPolicy: 'Local' },
    'pinned',
  );
  await apply(ground.api, service);
  echoes.push(await tcpEcho('127.77.0.1', 30_010, 'n1'), await tcpEcho('127.77.0.2', 30_010, 'n2'));
  const endpoint = (node: string) => ({
    addresses: [`10.1.0.${node.slice(1)}`],
    nodeName: node,
    conditions: { ready: true },
  });
  await ground.slice('pinned', [endpoint('n2')]);
  const local = ground.local(['--via', 'nodes']);
  const row = await ground.shows(local, 'pinned', 'is ready', ({ state }) => state === 'ready');
  const [address = ''] = row.addresses;
  for (let i = 0; i < 4; i += 1) expect(await ask(address, 7000)).toBe('n2\n');
  await ground.slice('pinned', [endpoint('n1')]);
  await until('the endpoint moves', async () => ((await ask(address, 7000)) === 'n1\n' ? true : undefined));
  await until('n2 is let go', async () => {
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await ask(address, 7000));
    return answers.every((answer) => answer === 'n1\n') ? true : undefined;
  });
  for (let i = 0; i < 4; i += 1) expect(await ask(address, 7000)).toBe('n1\n');
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  expect(await local.end()).toBe(0);
});

test('a port that another program holds is named in the condition, and opened once it is free', async () => {
  const service = ground.service({ ports: [{ port: 7010, nodePort: 30_020 }] }, 'blocked');
  const blocker = await tcpEcho('0.0.0.0', 7010, 'somebody');
  echoes.push(blocker, await tcpEcho('127.77.0.1', 30_020, 'n1'));
  await apply(ground.api, service);
  const local = ground.local();
  await ground.shows(local, 'blocked', 'fails', ({ state }) => state === 'failed');
  const { value: live } = await untilService(
    ground.api,
    service,
    'says so',
    (one) =>
      condition(one, 'InSync')?.status === 'False' && condition(one, 'Provisioned')?.status === 'False',
  );
  for (const type of ['InSync', 'Provisioned'])
    expect(condition(live, type)).toMatchObject({ status: 'False', reason: 'PortInUse' });
  expect(condition(live, 'InSync')?.message).toContain(':7010/TCP is taken by another program');
  expect(condition(live, 'InSync')?.message).toContain("ss -lnpt 'sport = :7010'");
  await blocker.close();
  const row = await ground.shows(local, 'blocked', 'is ready', ({ state }) => state === 'ready');
  expect(await ask(row.addresses[0] ?? '', 7010)).toBe('n1\n');
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  expect(await local.end()).toBe(0);
});

test('after a crash the next one adopts; a second one beside it stands by and takes over', async () => {
  const service = ground.service({ ports: [{ port: 7020, nodePort: 30_030 }] }, 'adopted');
  await apply(ground.api, service);
  echoes.push(await tcpEcho('127.77.0.1', 30_030, 'n1'), await tcpEcho('127.77.0.2', 30_030, 'n2'));
  const first = ground.local();
  const row = await ground.shows(first, 'adopted', 'is ready', ({ state }) => state === 'ready');
  await untilService(
    ground.api,
    service,
    'shows the address',
    (live) => statusOf(live).address === row.addresses[0],
  );
  await first.end('SIGKILL');
  expect(statusOf(await read(ground.api, service)).address).toBe(row.addresses[0]);
  const second = ground.local();
  await ground.shows(second, 'adopted', 'is ready', ({ state }) => state === 'ready');
  expect(await ask(row.addresses[0] ?? '', 7020)).toMatch(/^n[12]\n$/u);
  const third = ground.local();
  await until('the third stands by', () =>
    Promise.resolve(
      third.err.includes(`Process ${second.pid} serves this cluster already`) ? true : undefined,
    ),
  );
  expect(await second.end()).toBe(0);
  const taken = await ground.shows(third, 'adopted', 'is ready', ({ state }) => state === 'ready');
  expect(taken.addresses).toEqual(row.addresses);
  await third.end('SIGKILL');
  // Without anybody who serves: our mark is taken off by itself.
  const release = ground.local(['--release']);
  expect(await release.ended).toBe(0);
  expect((await read(ground.api, service))?.metadata?.finalizers ?? []).toEqual([]);
  await remove(ground.api, service);
});

test('explain says whether anybody serves a Service, and what to run: before, meanwhile, and after a kill', async () => {
  const service = ground.service({ ports: [{ name: 'http', port: 8086 }] }, 'asked');
  await apply(ground.api, service);
  echoes.push(await tcpEcho('127.77.0.1', await ground.nodePort(service, 8086), 'n1'));
  const before = await ground.explain('asked');
  expect(before).toMatchObject({ code: 1 });
  expect(before.out).toContain('Cure: Run npx sluice local on your machine');
  expect(before.out).not.toContain('404');
  const local = ground.local();
  await ground.shows(local, 'asked', 'is ready', ({ ports }) => (ports[0]?.healthy ?? 0) > 0);
  await untilService(
    ground.api,
    service,
    'is healthy',
    (live) => condition(live, 'TargetsReady')?.status === 'True',
  );
  const meanwhile = await ground.explain('asked');
  expect(meanwhile).toMatchObject({ code: 0 });
  expect(meanwhile.out).toMatch(/from here port 8086 answers in \d+ ms/u);
  await local.end('SIGKILL');
  const after = await ground.explain('asked');
  expect(after).toMatchObject({ code: 1 });
  expect(after.out).toContain('`sluice local` on this machine served it and runs no more');
  expect(after.out).toContain('Cure: npx sluice local');
  const again = ground.local();
  await ground.shows(again, 'asked', 'is ready', ({ state }) => state === 'ready');
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  await again.end();
});

test('a Service without a class is served where it is asked for, and left alone where not', async () => {
  const service = ground.service(
    { ports: [{ port: 7030, nodePort: 30_040 }], loadBalancerClass: undefined },
    'classless',
  );
  await apply(ground.api, service);
  echoes.push(await tcpEcho('127.77.0.1', 30_040, 'n1'), await tcpEcho('127.77.0.2', 30_040, 'n2'));
  const shy = ground.local([], 'text');
  await until('it serves', () => Promise.resolve(shy.out.includes('Serving') ? true : undefined));
  const local = shy;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(statusOf(await read(ground.api, service)).address).toBe('');
  expect(await local.end()).toBe(0);
  const keen = ground.local(['--classless']);
  const row = await ground.shows(keen, 'classless', 'is ready', ({ state }) => state === 'ready');
  expect(await ask(row.addresses[0] ?? '', 7030)).toMatch(/^n[12]\n$/u);
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (one) => one === undefined);
  expect(await keen.end()).toBe(0);
});

test('source ranges are honoured and follow changes; a node that dies is left out', async () => {
  const service = ground.service(
    { ports: [{ port: 7040, nodePort: 30_050 }], loadBalancerSourceRanges: ['192.0.2.0/24'] },
    'guarded',
  );
  await apply(ground.api, service);
  const one = await tcpEcho('127.77.0.1', 30_050, 'n1');
  const two = await tcpEcho('127.77.0.2', 30_050, 'n2');
  echoes.push(one, two);
  const local = ground.local();
  const row = await ground.shows(local, 'guarded', 'is ready', ({ state }) => state === 'ready');
  const [address = ''] = row.addresses;
  expect(await ask(address, 7040)).toBeUndefined();
  await merge(ground.api, service, { spec: { loadBalancerSourceRanges: ['127.0.0.0/8'] } });
  await until('the ranges change', async () => await ask(address, 7040));
  await one.close();
  for (let i = 0; i < 5; i += 1) expect(await ask(address, 7040)).toBe('n2\n');
  await ground.shows(local, 'guarded', 'shows one node', ({ ports }) => ports[0]?.healthy === 1);
  await two.close();
  expect(await ask(address, 7040)).toBeUndefined();
  await ground.shows(local, 'guarded', 'says that no target answers', ({ state }) => state === 'waiting');
  await ground.shows(local, 'guarded', 'says why', ({ message }) => message.includes('refuses'));
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (live) => live === undefined);
  expect(await local.end()).toBe(0);
});
