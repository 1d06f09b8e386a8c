/**
 * Two machines run `sluice local` on one cluster: each Service is served by one of them, they never write in turn, and
 * what one leaves behind the other serves.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { forwardDoor } from '../../src/commands/local-forward.ts';
import { lookAtMachine } from '../../src/commands/local-machine.ts';
import { LocalMode } from '../../src/commands/local-serve.ts';
import { parseCidr } from '../../src/core/cidr.ts';
import { systemClock } from '../../src/core/clock.ts';
import { connect } from '../../src/kube/connection.ts';
import { readClusterId } from '../../src/kube/writer.ts';
import { defaultSpace } from '../../providers/local/laptop/space.ts';
import { fileTable } from '../../providers/local/laptop/table.ts';
import { condition, statusOf, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, read, remove, type Manifest } from '../../src/sandbox/objects.ts';
import { ask, LaptopGround, tcpEcho, type Echo, type Local } from './laptop-ground.ts';

let ground: LaptopGround;
/** The state folder of the second machine. */
let second: string;
const echoes: Echo[] = [];
const mark = 'sluice.dev/served-on';
const renewed = 'sluice.dev/served-at';

beforeAll(async () => {
  ground = await LaptopGround.open();
  second = await mkdtemp(join(tmpdir(), 'sluice-laptop-second-'));
  await ground.node('n1', '127.75.0.1');
});

// What a test leaves behind must not be in the way of the next one, or of its second try.
afterEach(async () => {
  await ground.tidy();
  for (const echo of echoes.splice(0)) await echo.close();
});

afterAll(async () => {
  await ground.close();
  await rm(second, { recursive: true, force: true });
});

const ready = (local: Local, name: string) =>
  ground.shows(local, name, 'is ready', ({ state }) => state === 'ready');
const elsewhere = (local: Local, name: string) =>
  ground.shows(local, name, 'is elsewhere', ({ state }) => state === 'elsewhere');

/** The Service of this number: port 11200 and more, node port 30060 and more. */
async function served(name: string, number: number): Promise<Manifest> {
  const nodePort = 30_060 + number;
  const made = ground.service({ ports: [{ port: 11_200 + number, nodePort }] }, name);
  echoes.push(await tcpEcho('127.75.0.1', nodePort, 'n1'));
  await apply(ground.api, made);
  return made;
}

/** All that it says, but for when its machine last renewed its claim. */
function contents(service: Manifest | undefined): unknown {
  const {
    resourceVersion: _version,
    managedFields: _managed,
    annotations,
    ...metadata
  } = (service?.metadata ?? {}) as Readonly<Record<string, unknown>>;
  return { ...service, metadata, annotations: { ...(annotations as object), [renewed]: undefined } };
}

async function gone(service: Manifest): Promise<void> {
  await remove(ground.api, service);
  await untilService(ground.api, service, 'goes', (live) => live === undefined);
}

test('the second says who serves and how to change that, writes nothing, and takes nothing off at its end', async () => {
  const service = await served('one', 1);
  const here = ground.local();
  const { addresses } = await ready(here, 'one');
  // The first has said all that it has to say.
  const { value: before } = await untilService(ground.api, service, 'is told in full', (live) =>
    ['Accepted', 'Provisioned', 'TargetsReady', 'InSync'].every(
      (type) => condition(live, type)?.status === 'True',
    ),
  );
  const there = ground.local([], 'json', second);
  const row = await elsewhere(there, 'one');
  expect(row.message).toBe(
    `\`sluice local\` on ${before?.metadata?.annotations?.[mark] ?? ''} serves it; to serve it here instead: \`sluice local --take-over\``,
  );
  // What comes later is served by one of them as well, and the other says so.
  const later = await served('later', 2);
  await until('one serves it and the other says so', () => {
    const states = [here, there].map(
      (local) => local.rows().find((one) => one.service === 'default/later')?.state,
    );
    const both = states.includes('elsewhere') && states.includes('ready');
    return Promise.resolve(both ? true : undefined);
  });
  expect(await ask(addresses[0] ?? '', 11_201)).toBe('n1\n');
  expect(await there.end()).toBe(0);
  const after = await read(ground.api, service);
  // Nothing was written by the second: neither at its start, nor beside the first, nor at its end.
  expect(contents(after)).toEqual(contents(before));
  await gone(service);
  await ready(here, 'later');
  await gone(later);
  expect(await here.end()).toBe(0);
});

test('--take-over: the other lets go of it and leaves it alone; what it ends with is as it was found', async () => {
  const service = await served('moves', 3);
  const here = ground.local();
  const { addresses } = await ready(here, 'moves');
  const there = ground.local(['--take-over'], 'json', second);
  await elsewhere(here, 'moves');
  // It is one machine in this test, so the port is free only once the first has let go.
  const row = await ready(there, 'moves');
  expect(row.addresses).toEqual(addresses);
  // What is said and the table come by two pipes.
  await expect.poll(() => there.err, { timeout: 60_000 }).toContain('Taken over: default/moves from ');
  expect(await ask(addresses[0] ?? '', 11_203)).toBe('n1\n');
  expect(await here.end()).toBe(0);
  const left = await read(ground.api, service);
  expect(left?.metadata?.finalizers).toContain('sluice.dev/balancer');
  expect(statusOf(left).address).toBe(addresses[0]);
  expect(await ask(addresses[0] ?? '', 11_203)).toBe('n1\n');
  expect(await there.end()).toBe(0);
  const after = await read(ground.api, service);
  expect(statusOf(after)).toEqual({ address: '', conditions: [] });
  expect(after?.metadata?.finalizers ?? []).toEqual([]);
  expect(after?.metadata?.annotations ?? {}).not.toHaveProperty(mark);
  await gone(service);
});

test('a machine that went away: --release leaves its Services and says how to release them too', async () => {
  const service = await served('orphan', 4);
  const lost = ground.local();
  await ready(lost, 'orphan');
  await lost.end('SIGKILL');
  await remove(ground.api, service);
  const shy = ground.local(['--release'], 'text', second);
  expect(await shy.ended).toBe(0);
  expect(shy.err).toContain('Left alone: 1 Service that `sluice local` on another machine serves.');
  expect((await read(ground.api, service))?.metadata?.finalizers).toContain('sluice.dev/balancer');
  const watching = ground.local([], 'json', second);
  expect((await elsewhere(watching, 'orphan')).message).toMatch(
    /^it goes once .* or has not been heard of for two minutes; at once: `sluice local --take-over`$/u,
  );
  expect(await watching.end()).toBe(0);
  const bold = ground.local(['--release', '--take-over'], 'text', second);
  expect(await bold.ended).toBe(0);
  await untilService(ground.api, service, 'goes', (live) => live === undefined);
});

test('a machine that died: another one serves its Services by itself once its claim has expired', async () => {
  const service = await served('left', 5);
  const lost = ground.local();
  const { addresses } = await ready(lost, 'left');
  const { value: before } = await untilService(
    ground.api,
    service,
    'bears a time',
    (live) => live?.metadata?.annotations?.[renewed]?.startsWith('20') === true,
  );
  await lost.end('SIGKILL');

  const api = await connect({ path: ground.plane.admin.path });
  const parsed = parseCidr(defaultSpace);
  if (parsed.kind === 'malformed') throw new Error(parsed.message);
  const id = await readClusterId(api);
  const taken: string[] = [];
  // The times of the command are made for people; the ways are the same.
  const claims = { renewMs: 300, expiredMs: 3_000, lookMs: 100 };
  const mode: LocalMode = new LocalMode({
    api,
    clock: systemClock,
    random: Math.random,
    cluster: { name: 'two', id },
    machine: 'second-1',
    config: { ...(await lookAtMachine()), space: parsed.cidr, via: 'auto' },
    table: fileTable(join(second, 'local-addresses.json')),
    classless: false,
    claims,
    forward: (door) => forwardDoor(api, door, systemClock),
    onChange: () => undefined,
    onTaken: (lines) => taken.push(...lines),
    onEvent: () => undefined,
    report: () => undefined,
  });
  const begun = performance.now();
  await mode.start(new AbortController().signal, { takeOver: false });
  try {
    const { value: row } = await until('it is served here', async () =>
      mode.rows().find(({ service: key, state }) => key === 'default/left' && state === 'ready'),
    );
    expect(performance.now() - begun).toBeGreaterThan(claims.expiredMs);
    expect(row.addresses).toEqual(addresses);
    const from = before?.metadata?.annotations?.[mark] ?? '';
    await expect.poll(() => taken.length, { timeout: 60_000 }).toBeGreaterThan(0);
    expect(taken).toEqual([
      expect.stringMatching(
        new RegExp(`^default/left from ${from}, of which nothing was heard for \\d+ s$`, 'u'),
      ),
    ]);
    expect(await ask(row.addresses[0] ?? '', 11_205)).toBe('n1\n');
    const live = await read(ground.api, service);
    expect(live?.metadata?.annotations).toMatchObject({ [mark]: 'second-1' });
    // From now on this one renews.
    const at = live?.metadata?.annotations?.[renewed];
    await untilService(
      ground.api,
      service,
      'is renewed',
      (one) => one?.metadata?.annotations?.[renewed] !== at,
    );
  } finally {
    expect(await mode.stop({ keep: false })).toEqual([]);
    await api.close();
  }
  const after = await read(ground.api, service);
  expect(after?.metadata?.finalizers ?? []).toEqual([]);
  for (const key of [mark, renewed]) expect(after?.metadata?.annotations ?? {}).not.toHaveProperty([key]);
  await gone(service);
});
