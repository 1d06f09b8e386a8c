import { describe, expect, test } from 'vitest';
import { hex } from '../../../../test/support/hex.ts';
import { attribute, nested, number32, type Message } from './netlink.ts';
import {
  newAddress,
  newLink,
  newRoute,
  putAddress,
  readAddress,
  readDefaultRoute,
  readLink,
  setArp,
  takeAddress,
} from './rtnetlink.ts';
import { addressBytes } from './wire.ts';

const four = { address: addressBytes('192.0.2.10'), link: 3 };
const six = { address: addressBytes('2001:db8::10'), link: 3 };

function message(type: number, body: Buffer): Message {
  return { type, flags: 0, sequence: 0, body };
}

describe('an address', () => {
  test('of IPv4 is put up alone, of this node, never preferred, for two seconds, by name', () => {
    const { body, flags } = putAddress(four, 2, 'fresh');
    expect(flags).toBe(0x600);
    expect(body.toString('hex')).toBe(
      hex(
        '02 20 00 fe 03000000 08000200 c000020a 08000100 c000020a 14000600 00000000 02000000 00000000 00000000 08000800 00020000 05000b00 5c000000 0b000300 736c7569636500 00',
      ),
    );
  });

  test('of IPv6 is put up without waiting for duplicates: we have asked already', () => {
    const { body, flags } = putAddress(six, 2, 'renew');
    expect(flags).toBe(0x500);
    expect(body.subarray(0, 8).toString('hex')).toBe(hex('0a 80 00 00 03000000'));
    expect(body.includes(Buffer.from('0800080002020000', 'hex'))).toBe(true);
  });

  test.each([four, six])('that we put up is known as ours', (own) => {
    const read = readAddress(message(newAddress, putAddress(own, 2, 'fresh').body));
    expect(read).toEqual({ ...own, length: own.address.length * 8, ours: true });
  });

  test('of an old kernel, which keeps no origin, is known by its label or by what nobody else makes', () => {
    for (const own of [four, six]) {
      const { body } = putAddress(own, 2, 'fresh');
      const origin = body.indexOf(Buffer.from('05000b005c000000', 'hex'));
      const old = Buffer.concat([body.subarray(0, origin), body.subarray(origin + 8)]);
      expect(readAddress(message(newAddress, old))?.ours).toBe(true);
    }
  });

  test.each([
    [
      'one of IPv4 with a name of its own',
      2,
      32,
      attribute(2, four.address),
      attribute(3, Buffer.from('eth0\0')),
    ],
    ['one with another origin', 2, 32, attribute(2, four.address), attribute(11, Buffer.from([2]))],
    ['one with a prefix', 2, 24, attribute(2, four.address), attribute(11, Buffer.from([0x5c]))],
    [
      'one of IPv6 that lives for ever',
      10,
      128,
      attribute(1, six.address),
      attribute(6, Buffer.alloc(16, 0xff)),
    ],
  ])('that is not ours: %s', (_, family, length, ...attributes) => {
    const body = Buffer.concat([Buffer.from([family, length, 0, 0, 3, 0, 0, 0]), ...attributes]);
    expect(readAddress(message(newAddress, body))).toMatchObject({ length, ours: false });
  });

  test('is taken away by its name on its link', () => {
    expect(takeAddress(four)).toMatchObject({ type: 21, flags: 0 });
  });
});

describe('a link', () => {
  const mac = Buffer.from('025c00000001', 'hex');
  function link(flags: number, ...attributes: readonly Buffer[]): Message {
    const head = Buffer.alloc(16);
    head.writeUInt16LE(1, 2);
    head.writeInt32LE(3, 4);
    head.writeUInt32LE(flags, 8);
    const own = [attribute(3, Buffer.from('eth0\0')), attribute(1, mac)];
    return message(newLink, Buffer.concat([head, ...own, ...attributes]));
  }

  test.each([
    ['carries', 0x41, { enabled: true, up: true, usable: true }],
    ['is switched on without a carrier', 0x1, { enabled: true, up: false, usable: true }],
    ['is switched off', 0x40, { enabled: false, up: false, usable: true }],
    ['has no ARP', 0xc1, { up: true, usable: false }],
    ['goes to one peer', 0x51, { up: true, usable: false }],
  ])('that %s', (_, flags, wanted) => {
    expect(readLink(link(flags))).toMatchObject({ index: 3, name: 'eth0', mac, ...wanted });
  });

  test('that belongs to a bridge, or to an overlay, is not chosen', () => {
    expect(readLink(link(0x41, attribute(10, number32(7))))?.usable).toBe(false);
    expect(readLink(link(0x41, nested(18, attribute(1, Buffer.from('vxlan\0')))))?.usable).toBe(false);
    expect(readLink(link(0x41, nested(18, attribute(1, Buffer.from('bridge\0')))))?.usable).toBe(true);
  });

  test('says how it treats ARP, and is told how to', () => {
    const values = Buffer.alloc(33 * 4);
    values.writeInt32LE(2, 17 * 4);
    values.writeInt32LE(1, 18 * 4);
    const spec = nested(26, nested(2, attribute(1, values)));
    expect(readLink(link(0x41, spec))?.arp).toEqual({ announce: 2, ignore: 1 });
    expect(readLink(link(0x41))?.arp).toBeUndefined();
    expect(setArp(3, { announce: 2, ignore: 1 }).body.subarray(16).toString('hex')).toBe(
      hex('1c001a80 18000280 14000180 08001200 02000000 08001300 01000000'),
    );
  });
});

describe('a default route', () => {
  function route(head: readonly number[], ...attributes: readonly Buffer[]): Message {
    return message(newRoute, Buffer.concat([Buffer.from(head), ...attributes]));
  }
  const main = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];

  test.each([
    ['leaves by one link', route(main, attribute(4, number32(3))), [3]],
    [
      'leaves by two',
      route(main, attribute(9, Buffer.from(hex('0800000003000000 0800000004000000'), 'hex'))),
      [3, 4],
    ],
    ['of a network is none', route([2, 24, ...main.slice(2)], attribute(4, number32(3))), []],
    [
      'of another table is none',
      route([...main.slice(0, 4), 100, ...main.slice(5)], attribute(4, number32(3))),
      [],
    ],
    ['that refuses is none', route([...main.slice(0, 7), 7, 0, 0, 0, 0], attribute(4, number32(1))), []],
  ])('%s', (_, given, links) => {
    expect(readDefaultRoute(given)).toEqual(links);
  });
});
