/** Where rules lead, as text and in the kernel's bytes, which are made by hand here; packets hold it against the kernel. */
import { expect, test } from 'vitest';
import type { IpFamily } from '../../core/objects.ts';
import { leadOf, LeadReader, leadsAsWritten, ourChain, rulesRequest, type Lead } from './leads.ts';

test.each([
  [
    '-p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.0.0.1:80',
    'dnat 10.0.0.1:80',
  ],
  ['-p tcp -j DNAT --to-destination [fd00::1]:80', 'dnat [fd00::1]:80'],
  [
    '-m recent --set --name SLUICE-SEP-A --rsource -p tcp -j DNAT --to-destination 10.0.0.1:80',
    'dnat 10.0.0.1:80',
  ],
  ['-d 10.0.0.1/32 -m comment --comment "ns/a -g SLUICE-X" -g SLUICE-SVC-A', 'goto SLUICE-SVC-A'],
  ['-m recent --rcheck --seconds 9 --name SLUICE-SEP-A --rsource -j SLUICE-SEP-A', 'jump SLUICE-SEP-A'],
  ['-j MARK --or-mark 0x4000', ''],
  ['-j DROP', ''],
])('%s leads to %j', (rule, lead) => {
  expect(leadOf(rule)).toBe(lead);
});

test('a chain is as written where all its rules lead as written, in their order', () => {
  const rules = ['-j MARK --or-mark 0x1', '-g SLUICE-A', '-j DNAT --to-destination 10.0.0.1:80'];
  expect(leadsAsWritten(['', 'goto SLUICE-A', 'dnat 10.0.0.1:80'], rules)).toBe(true);
  // Words that are not known here.
  expect(leadsAsWritten(['', 'goto SLUICE-A', undefined], rules)).toBe(true);
  expect(leadsAsWritten([undefined, 'goto SLUICE-A', 'dnat 10.0.0.1:80'], rules)).toBe(false);
  expect(leadsAsWritten(['', 'jump SLUICE-A', 'dnat 10.0.0.1:80'], rules)).toBe(false);
  expect(leadsAsWritten(['', 'goto SLUICE-A', 'dnat 10.0.0.1:81'], rules)).toBe(false);
  expect(leadsAsWritten(['goto SLUICE-A', '', 'dnat 10.0.0.1:80'], rules)).toBe(false);
  expect(leadsAsWritten(['', 'goto SLUICE-A'], rules)).toBe(false);
  expect(leadsAsWritten(['', 'goto SLUICE-A', 'dnat 10.0.0.1:80', ''], rules)).toBe(false);
});

function part(kind: number, content: Buffer | string): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(`${content}\0`) : content;
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + bytes.length, 0);
  head.writeUInt16LE(kind, 2);
  return Buffer.concat([head, bytes, Buffer.alloc(-bytes.length & 3)]);
}

const expression = (name: string, ...data: readonly Buffer[]): Buffer =>
  part(1, Buffer.concat([part(1, name), part(2, Buffer.concat(data))]));

function verdict(code: number, chain: string): Buffer {
  const number = Buffer.alloc(4);
  number.writeInt32BE(code);
  return expression('immediate', part(2, part(2, Buffer.concat([part(1, number), part(2, chain)]))));
}

const target = (name: string, info: string): Buffer =>
  expression('target', part(1, name), part(2, Buffer.alloc(4)), part(3, Buffer.from(info, 'hex')));

/** What is read of one rule. */
function read(family: IpFamily, ...expressions: readonly Buffer[]): Lead {
  const reader = new LeadReader(family);
  const content = [part(1, 'nat'), part(2, 'SLUICE-A'), part(4, Buffer.concat(expressions))];
  reader.take({ type: 0xa_06, content: Buffer.concat(content) });
  return reader.chains.get('nat SLUICE-A')?.[0];
}

const four = '0a000001';
const six = 'fd000000000000000000000000000001';

test('endpoints are read of every revision of the target but the oldest, which is left open', () => {
  const counter = expression('counter', part(1, Buffer.alloc(8)), part(2, Buffer.alloc(8)));
  const range = (address: string): string => `03000000${address.padEnd(32, '0').repeat(2)}1f901f90`;
  expect(read('IPv4', counter, target('DNAT', range(four)))).toBe('dnat 10.0.0.1:8080');
  expect(read('IPv4', counter, target('DNAT', `${range(four)}00000000`))).toBe('dnat 10.0.0.1:8080');
  expect(read('IPv6', target('DNAT', range(six)), counter)).toBe('dnat [fd00::1]:8080');
  expect(read('IPv4', target('DNAT', '01000000030000000a0000010a0000011f901f90'))).toBeUndefined();
  expect(read('IPv4', expression('nat'))).toBeUndefined();
});

test('verdicts are read, and everything else leads nowhere', () => {
  expect(read('IPv4', verdict(-3, 'SLUICE-B'))).toBe('jump SLUICE-B');
  expect(read('IPv4', expression('cmp'), verdict(-4, 'SLUICE-B'))).toBe('goto SLUICE-B');
  expect(read('IPv4', verdict(1, ''))).toBe('');
  expect(read('IPv4', target('MARK', '00'.repeat(44)))).toBe('');
  expect(read('IPv4')).toBe('');
});

test('chains of ours are those with our name in the tables that we write', () => {
  const chain = (table: string, name: string): string | undefined =>
    ourChain({ type: 0xa_03, content: Buffer.concat([part(1, table), part(3, name)]) });
  expect(chain('nat', 'SLUICE-A')).toBe('nat SLUICE-A');
  expect(chain('filter', 'SLUICE-A')).toBe('filter SLUICE-A');
  expect(chain('mangle', 'SLUICE-A')).toBeUndefined();
  expect(chain('nat', 'KUBE-SLUICE-A')).toBeUndefined();
});

test('what is no rule, and no chain, is an error', () => {
  expect(() => new LeadReader('IPv4').take({ type: 0xa_03, content: Buffer.alloc(0) })).toThrow('message');
  expect(() => ourChain({ type: 0xa_06, content: Buffer.alloc(0) })).toThrow('message');
});

test('a request names table and chain', () => {
  const parts = [part(1, 'nat'), part(2, 'SLUICE-AB')];
  const head = `2c000000070a0103${'00'.repeat(8)}0a000000`;
  expect(rulesRequest('IPv6', 'nat SLUICE-AB').toString('hex')).toBe(
    head + Buffer.concat(parts).toString('hex'),
  );
});
