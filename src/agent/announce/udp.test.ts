import { afterEach, expect, test, vi } from 'vitest';
import type { NodeName } from '../../core/objects.ts';
import { endpointOf, textOf } from './registry.ts';
import { memberId, type MemberId } from './rank.ts';
import { Heartbeats, type Endpoint } from './udp.ts';

const open: Heartbeats[] = [];
const peer = memberId('peer' as NodeName);

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function heartbeats(
  to: Endpoint | undefined,
  host = '127.0.0.1',
  port = 0,
): Promise<{ line: Heartbeats; port: number; got: Buffer[]; refused: MemberId[] }> {
  const got: Buffer[] = [];
  const refused: MemberId[] = [];
  const line = new Heartbeats({
    bind: { host, port },
    peer: () => to,
    received: (bytes) => got.push(bytes),
    refused: (member) => refused.push(member),
    report: () => undefined,
  });
  open.push(line);
  return { line, port: await line.start(), got, refused };
}

test.each(['127.0.0.1', '::1', ''])('what is sent to a peer bound to "%s" is heard there', async (host) => {
  const ear = await heartbeats(undefined, host);
  const mouth = await heartbeats({ host: host === '' ? '127.0.0.1' : host, port: ear.port });
  await vi.waitFor(() => {
    mouth.line.send(peer, Buffer.from('here'));
    expect(ear.got.at(-1)?.toString()).toBe('here');
  });
});

test('the very first packet to a peer is not lost, though its line is only being made', async () => {
  const ear = await heartbeats(undefined);
  const mouth = await heartbeats({ host: '127.0.0.1', port: ear.port });
  mouth.line.send(peer, Buffer.from('older'));
  mouth.line.send(peer, Buffer.from('first'));
  await vi.waitFor(() => expect(ear.got.map(String)).toEqual(['first']));
});

test('a line that is closed before it is made sends nothing', async () => {
  const ear = await heartbeats(undefined);
  const mouth = await heartbeats({ host: '127.0.0.1', port: ear.port });
  mouth.line.send(peer, Buffer.from('never'));
  mouth.line.close();
  const other = await heartbeats({ host: '127.0.0.1', port: ear.port });
  other.line.send(peer, Buffer.from('last'));
  await vi.waitFor(() => expect(ear.got.map(String)).toEqual(['last']));
});

test('a machine where nobody listens says so', async () => {
  const ear = await heartbeats(undefined);
  ear.line.close();
  open.splice(open.indexOf(ear.line), 1);
  const mouth = await heartbeats({ host: '127.0.0.1', port: ear.port });
  await vi.waitFor(() => {
    mouth.line.send(peer, Buffer.from('here'));
    expect(mouth.refused).toContain(peer);
  });
  // And a new agent there is heard again over the same line.
  const next = await heartbeats(undefined, '127.0.0.1', ear.port);
  await vi.waitFor(() => {
    mouth.line.send(peer, Buffer.from('again'));
    expect(next.got.length).toBeGreaterThan(0);
  });
});

test('a port that is taken is told with its cure', async () => {
  const ear = await heartbeats(undefined);
  await expect(heartbeats(undefined, '127.0.0.1', ear.port)).rejects.toMatchObject({
    code: 'PortTaken',
    message: expect.stringContaining('--heartbeat-bind'),
  });
});

test('a peer without a place is passed over', async () => {
  const mouth = await heartbeats(undefined);
  expect(() => mouth.line.send(peer, Buffer.from('x'))).not.toThrow();
});

test.each(['192.0.2.1:10272', '[2001:db8::1]:10272', 'node-1:1'])('%s is read as it is written', (text) => {
  const endpoint = endpointOf(text);
  expect(endpoint && textOf(endpoint)).toBe(text);
});

test.each(['', 'node-1', '192.0.2.1:0', '192.0.2.1:70000', '2001:db8::1:10272', '[::1]'])(
  '"%s" is no place to send to',
  (text) => {
    expect(endpointOf(text)).toBeUndefined();
  },
);
