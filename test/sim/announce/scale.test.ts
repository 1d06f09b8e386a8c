/** What many agents and many addresses cost: packets and bytes that each agent hears. */
import { expect, test } from 'vitest';
import { World } from './world.ts';

const agents = 10;

/** Ten agents, five hundred addresses; what each hears on average since the last time it was asked. */
async function counted(): Promise<{ world: World; heard: () => { packets: number; kilobytes: number } }> {
  const world = new World({ nodes: agents, addresses: 500, seed: 1 });
  let packets = 0;
  let bytes = 0;
  world.startAll();
  for (const { process } of world.nodes) {
    if (process === undefined) continue;
    const { own } = process;
    const received = own.received.bind(own);
    own.received = (packet, host) => {
      packets += 1;
      bytes += packet.length;
      received(packet, host);
    };
  }
  const heard = (): { packets: number; kilobytes: number } => {
    const found = { packets: packets / agents, kilobytes: bytes / agents / 1_000 };
    packets = 0;
    bytes = 0;
    return found;
  };
  await world.clock.advance(900);
  heard();
  return { world, heard };
}

function heldOnce(world: World): number {
  return world.addresses.filter((address) => world.holders(address).length === 1).length;
}

test('everybody takes its addresses at once: each says so to each once, and repeats nobody else', async () => {
  const { world, heard } = await counted();
  await world.clock.advance(300);
  expect(heldOnce(world)).toBe(500);
  const { packets, kilobytes } = heard();
  // Two or three heartbeats of each other agent, a packet for what it takes and one for what it has.
  expect(packets).toBeLessThan(100);
  // Twice 500 claims of 15 bytes is the least there can be.
  expect(kilobytes).toBeLessThan(60);
});

test('an interface that no node has: every agent says so once for each address, and is quiet then', async () => {
  const { world, heard } = await counted();
  await world.clock.advance(500);
  for (const { process } of world.nodes) {
    if (process !== undefined) process.engine.linkUp = false;
    process?.own.changed();
  }
  heard();
  await world.clock.advance(1_000);
  expect(heldOnce(world)).toBe(0);
  expect(heard().kilobytes).toBeLessThan(300);
  await world.clock.advance(1_000);
  expect(heard().kilobytes).toBeLessThan(20);
});
