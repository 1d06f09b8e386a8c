/** `sluice agent --announce` where something is missing or wrong: what a person is told, and that it mends itself. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { apply, create, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { debugUrl } from './agent-process.ts';
import { until, vip } from './announce/lan.ts';
import { AnnounceStage, bothAddresses, system } from './announce/stage.ts';

let stage: AnnounceStage;
const agents = ['n1', 'n2'];

beforeAll(async () => {
  stage = await AnnounceStage.make({ announcing: agents });
});
afterAll(() => stage?.remove());
afterEach(async () => {
  for (const node of agents) await stage.kill(node);
  // As the next test finds it, or a second try.
  await apply(stage.cluster.api, keyed());
  await stage.pool({ interfaces: ['eth0'] });
});

/** What readiness says of announcing on a node. */
async function readiness(node: string): Promise<string> {
  const { stdout } = await stage.bed.run(node, 'curl', ['-s', `${debugUrl}/readyz`]);
  return stdout;
}

async function ready(node: string, said: RegExp): Promise<void> {
  let last = '';
  await until(`readiness of ${node} says ${said.source}`, async () =>
    said.test((last = await readiness(node))),
  ).catch((error: unknown) => {
    throw new Error(`it says: ${last}`, { cause: error });
  });
}

const secret: Manifest = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace: system, name: 'sluice-heartbeat' },
};

/** With a key that nobody has had before. */
const keyed = (): Manifest => ({ ...secret, data: { key: randomBytes(32).toString('base64') } });

const bound = (...names: readonly string[]): readonly string[] => {
  const set = ['-all', ...names.map((name) => `+${name}`)].join(',');
  return ['setpriv', `--bounding-set=${set}`, `--inh-caps=${set}`, '--no-new-privs', '--'];
};

test.each([
  ['--heartbeat-bind=10272', /--heartbeat-bind is "10272"; write ADDRESS:PORT/u],
  ['--heartbeat-bind=:99999', /--heartbeat-bind is ":99999"/u],
  ['--namespace', /--namespace/u],
])('a flag that cannot be meant ends it with a sentence: %s', async (flag, said) => {
  const agent = await stage.start('n1', { args: [flag] });
  expect((await agent.exited).code).toBe(64);
  expect(await agent.tail(5)).toMatch(said);
});

test('without the Secret it is not ready and says whose it is; alone it announces all the same', async () => {
  await remove(stage.cluster.api, secret);
  await stage.start('n1');
  await stage.settled();
  for (const address of bothAddresses) expect(await stage.holder(address)).toBe('n1');
  await stage.start('n2');
  await ready(
    'n1',
    /Secret sluice-heartbeat in namespace sluice-system has no key.*is the controller running/u,
  );
  // Two that cannot hear each other: the Lease leaves one of them the holder.
  await stage.settled();
  await create(stage.cluster.api, keyed());
  await ready('n1', /^(?!.*has no key)/su);
  await stage.settled();
});

test('a key that is too short is named as such', async () => {
  await stage.patch(secret, { data: { key: Buffer.from('short').toString('base64') } });
  await stage.start('n1');
  await stage.start('n2');
  await ready('n1', /has no key.*16 bytes/u);
  await stage.patch(secret, keyed());
  await stage.settled();
});

test('without NET_RAW it says so, serves its rules and announces nothing', async () => {
  const agent = await stage.start('n1', { through: bound('net_admin') });
  await ready('n1', /NET_RAW/u);
  expect(await agent.tail(200)).toContain('the announcer cannot start');
  // What an agent before it has left ends by itself.
  await until('nobody holds', async () => (await stage.holders(vip.IPv4)).length === 0);
  await stage.start('n2');
  await stage.settled();
  for (const address of bothAddresses) expect(await stage.holder(address)).toBe('n2');
});

test('a port that somebody else has is named with its flag, and taken once it is free', async () => {
  const squatter = await stage.bed.start('n1', {
    name: 'squatter',
    program: process.execPath,
    args: ['-e', "require('node:dgram').createSocket('udp6').bind(10272)"],
  });
  await stage.start('n1');
  await ready('n1', /UDP :10272 is taken; give --heartbeat-bind another port on every node/u);
  await squatter.stop(0);
  await ready('n1', /^(?!.*10272)/su);
  await stage.settled();
});

test('interfaces that no node has: the condition names what there is, and a corrected pool is announced', async () => {
  for (const node of agents) await stage.start(node);
  await stage.settled();
  await stage.pool({ interfaces: ['eth7'] });
  await until('the status names the interface', async () => {
    const status = JSON.stringify((await stage.addressObject(vip.IPv4))?.['status']);
    return status.includes('"InterfaceMissing"') && status.includes('eth7') && status.includes('eth0');
  });
  await until('nobody holds either', async () => {
    const holders = await Promise.all(bothAddresses.map((address) => stage.holders(address)));
    return holders.every((each) => each.length === 0);
  });
  await stage.pool({ interfaces: ['eth0'] });
  await stage.settled();
});
