/**
 * Local mode on a real API server, with the controller as its own process under its own Role: pools, addresses and
 * what people are told. The agent is played by the test.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serviceAddressName } from '../../src/core/address-objects.ts';
import { isSluiceError } from '../../src/core/errors.ts';
import { remove } from '../../src/sandbox/objects.ts';
import { LocalGround } from './local-ground.ts';

let ground: LocalGround;
const taken = new Map<string, string>();

beforeAll(async () => {
  ground = await LocalGround.open({ local: { noAgentAfter: '1s', rest: '1m' } });
  ground.playAgent((address) => {
    const mac = taken.get(address);
    return mac === undefined ? 'free' : { mac };
  });
}, 600_000);

afterAll(async () => {
  await ground?.close();
});

test('a pool and a Service applied: once an agent found the address free it stands in the status', async () => {
  const pool = await ground.pool('first', { addresses: ['192.0.2.10-192.0.2.11'] });
  const service = await ground.applied();
  await ground.shows(service, '192.0.2.10');
  const [object] = await ground.addresses();
  expect(object).toMatchObject({
    name: serviceAddressName('192.0.2.10'),
    pool: 'first',
    services: [{ key: `default/${service.metadata?.name ?? ''}` }],
  });
  await ground.tells(service, 'Provisioned', 'Active');
  await ground.tells(service, 'TargetsReady', 'TargetsRegistering');
  await ground.hold('192.0.2.10');
  await ground.tells(service, 'TargetsReady', 'TargetsHealthy');
  await ground.poolShows(pool, 'counts it', ({ ipv4 }) => ipv4?.inUse === 1 && ipv4.free === 1);
  await ground.gone(service);
  await ground.poolShows(pool, 'has it back', ({ ipv4 }) => ipv4?.inUse === 0);
  const [kept] = await ground.addresses();
  expect(kept).toMatchObject({
    services: [],
    rememberedFor: { key: `default/${service.metadata?.name ?? ''}` },
  });
  await remove(ground.api, pool);
});

test.each([
  ['no range', 'ten addresses'],
  ['a backward family', '192.0.2.1-2001:db8::1'],
  ['a range of three', '192.0.2.1-192.0.2.2-192.0.2.3'],
  ['a bare address', '192.0.2.1'],
])('the API server refuses a pool with %s', async (_what, text) => {
  const error: unknown = await ground.pool('wrong', { addresses: [text] }).catch((thrown: unknown) => thrown);
  expect(isSluiceError(error) && error.kind).toBe('invalid');
  expect(String(error)).toMatch(/spec\.addresses/u);
});
