/**
 * Edges of announcing, with real agents and a real API server: two nodes and the Lease between them, an address that is
 * somebody else's, policy Local, shared addresses, interfaces that are not there, and the death of a whole machine.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { blackout, lost, macOf, pause, port, servicePort, until, vip, watchTraffic } from './announce/lan.ts';
import { AnnounceStage } from './announce/stage.ts';

let stage: AnnounceStage;
const agents = ['n1', 'n2'];

beforeAll(async () => {
  stage = await AnnounceStage.make({ announcing: agents });
  await stage.startAll(agents);
});
afterAll(() => stage?.remove());
beforeEach(async () => {
  await stage.restore(agents);
  await pause(1_200);
});

async function statusOf(address: string): Promise<string> {
  return JSON.stringify((await stage.addressObject(address))?.['status'] ?? {});
}

const otherOf = (node: string): string => agents.find((each) => each !== node) ?? '';

async function holderOf(address: string): Promise<string> {
  await stage.settled([address]);
  return (await stage.holder(address)) ?? '';
}

describe('two nodes', () => {
  test('when the machine of one dies the other holds its addresses within what the Lease allows', async () => {
    const node = await holderOf(vip.IPv4);
    const end = await watchTraffic(stage.bed, 'x1', vip.IPv4);
    await pause(200);
    await port(stage.bed, node, 'down');
    await stage.kill(node);
    await until('the other node answers', async () => (await stage.holder(vip.IPv4)) === otherOf(node));
    await pause(500);
    for (const attempts of Object.values(await end())) {
      expect.soft(blackout(attempts)).toBeLessThan(4_500);
    }
    await stage.settled([vip.IPv4]);
  });

  test('that lose each other are one holder all the time but for the life of an address, and one after', async () => {
    await holderOf(vip.IPv4);
    await port(stage.bed, 'n1', 'down');
    const begun = performance.now();
    let doubleUntil = 0;
    while (performance.now() - begun < 6_000) {
      // From before it is asked: to ask takes its time on a busy machine.
      const at = performance.now() - begun;
      if ((await stage.holders(vip.IPv4)).length > 1) doubleUntil = at;
      await pause(50);
    }
    expect(doubleUntil).toBeLessThan(2_500);
    await port(stage.bed, 'n1', 'up');
    await stage.settled();
  });

  test('an agent that is drained leaves without a lost connection', async () => {
    const node = await holderOf(vip.IPv4);
    const end = await watchTraffic(stage.bed, 'x1', vip.IPv4);
    await pause(200);
    await stage.label(node, { 'sluice.test/announces': null });
    await until('it has moved', async () => (await stage.holder(vip.IPv4)) === otherOf(node));
    await pause(500);
    await stage.label(node, { 'sluice.test/announces': 'true' });
    for (const attempts of Object.values(await end())) expect.soft(lost(attempts)).toBe(0);
  });
});

test('an address that somebody on the link has is found taken, with his MAC; a free one is found free', async () => {
  const taken = '172.31.0.40';
  const asked = [taken, '172.31.0.41', 'fd00:172:31::61'];
  onTestFinished(async () => {
    for (const address of asked) await stage.forget(address);
    await stage.bed.run('x1', 'ip', ['addr', 'del', `${taken}/24`, 'dev', 'eth0']);
  });
  await stage.bed.ip('x1', `addr add ${taken}/24 dev eth0`);
  for (const address of asked) await stage.ask(address);
  await until('all are answered', async () => {
    const all = await Promise.all(asked.map(statusOf));
    return all.every((text) => text.includes('"outcome"'));
  });
  expect(await statusOf(taken)).toContain('"outcome":"taken"');
  expect(await statusOf(taken)).toContain(await macOf(stage.bed, 'x1'));
  for (const address of ['172.31.0.41', 'fd00:172:31::61']) {
    expect(await statusOf(address)).toContain('"outcome":"free"');
  }
  for (const address of asked) expect(await stage.holders(address)).toEqual([]);
});

test('somebody who takes a held address on the wire is told of, and the holder keeps answering', async () => {
  const node = await holderOf(vip.IPv4);
  onTestFinished(async () => {
    await stage.bed.run('n3', 'ip', ['addr', 'del', `${vip.IPv4}/32`, 'dev', 'eth0']);
  });
  await stage.bed.ip('n3', `addr add ${vip.IPv4}/32 dev eth0`);
  // Who takes an address says so.
  await stage.bed.succeed('n3', 'perl', ['-e', announceProgram, vip.IPv4, stage.macs.get('n3') ?? '']);
  await until('the status names the stranger', async () =>
    (await statusOf(vip.IPv4)).includes(stage.macs.get('n3') ?? 'no MAC'),
  );
  await stage.bed.ip('n3', `addr del ${vip.IPv4}/32 dev eth0`);
  await stage.settled([vip.IPv4]);
  expect(await stage.holder(vip.IPv4)).toBe(node);
});

test('under policy Local the node with the endpoint holds, and the address follows the endpoint', async () => {
  const addresses = ['172.31.0.42', 'fd00:172:31::62'];
  await stage.servers(['n1', 'n2']);
  onTestFinished(() => stage.unserve('near', addresses));
  await stage.serve('near', addresses, { local: true, on: ['n1'] });
  await stage.settled(addresses);
  for (const address of addresses) expect(await stage.holder(address)).toBe('n1');
  await stage.endpoints('near', ['n2']);
  await until('it follows', async () => {
    const holders = await Promise.all(addresses.map((address) => stage.holder(address)));
    return holders.every((each) => each === 'n2');
  });
  await stage.settled(addresses);
  const { self, peer } = await stage.bed.dial('x1', { address: '172.31.0.42', port: servicePort });
  expect(self).toBe('n2-a');
  expect(peer).toContain(stage.bed.client('x1').address.IPv4);
  // Without any endpoint nobody holds it, and the status says why.
  await stage.endpoints('near', []);
  await until('nobody holds it', async () => (await stage.holders('172.31.0.42')).length === 0);
});

test('a port that is no port of the Service is refused on the address, by whichever node holds it', async () => {
  const daemons = await Promise.all(agents.map((node) => stage.bed.serve(node, { port: 9_100 })));
  onTestFinished(async () => {
    for (const each of daemons) await each.close();
  });
  await holderOf(vip.IPv4);
  expect(await stage.bed.dial('x1', { address: vip.IPv4, port: 9_100 })).toMatchObject({ kind: 'refused' });
});

test('an address whose Service is gone is held by nobody, and the guard forgets it', async () => {
  const addresses = ['172.31.0.43', 'fd00:172:31::63'];
  onTestFinished(() => stage.unserve('short', addresses));
  await stage.serve('short', addresses);
  await stage.settled(addresses);
  await stage.unserve('short', addresses);
  for (const address of addresses) {
    await until('nobody holds it', async () => (await stage.holders(address)).length === 0);
  }
  // The guard stands until the address has gone, so it forgets a moment later.
  for (const node of agents) {
    await until('the guard forgets it', async () => {
      const guard = await stage.bed.run(node, 'nft', ['list', 'table', 'inet', 'sluice-guard']);
      return addresses.every((address) => !guard.stdout.includes(address));
    });
  }
});

test('an interface of the pool that is on no node is told, and other addresses do not suffer', async () => {
  onTestFinished(() => stage.pool({ interfaces: ['eth0'] }));
  await stage.pool({ interfaces: ['nosuch0'] });
  await until('the status says so', async () => (await statusOf(vip.IPv4)).includes('nosuch0'));
  await stage.pool({ interfaces: ['eth0'] });
  await stage.settled();
});

const announceProgram = String.raw`
use Socket qw(inet_aton);
my ($ip, $mac) = (inet_aton($ARGV[0]), pack('H*', $ARGV[1] =~ tr/://dr));
open(my $index, '<', '/sys/class/net/eth0/ifindex') or die; my $number = <$index>;
socket(my $socket, 17, 3, 0) or die;
send($socket, "\xff" x 6 . $mac . pack('nnnCCn', 0x0806, 1, 0x0800, 6, 4, 2) . $mac . $ip . $mac . $ip, 0, pack('Sni', 17, 0x0806, $number) . "\0" x 12) or die;
`;
