/**
 * Reads batches for nf_tables strictly, as text that nft would read: whatever is not just as
 * linux/netfilter/nf_tables.h has it is an error.
 */
import type { TableShape } from '../../src/agent/nftables/table.ts';

interface Attribute {
  readonly type: number;
  readonly bytes: Buffer;
}

function attributes(bytes: Buffer): Attribute[] {
  const found: Attribute[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt16LE(at);
    const end = (at + length + 3) & ~3;
    if (length < 4 || end > bytes.length) throw new Error(`an attribute of ${length} bytes at ${at}`);
    if (bytes.subarray(at + length, end).some((byte) => byte !== 0)) throw new Error('padding is not zero');
    found.push({ type: bytes.readUInt16LE(at + 2), bytes: bytes.subarray(at + 4, at + length) });
    at = end;
  }
  return found;
}

/** The attributes of just these types, in this order. */
function exactly(bytes: Buffer, types: readonly number[]): readonly Buffer[] {
  const found = attributes(bytes);
  if (found.map(({ type }) => type).join() !== types.join())
    throw new Error(`attributes ${found.map(({ type }) => type).join()} instead of ${types.join()}`);
  return found.map((one) => one.bytes);
}

function text(bytes: Buffer): string {
  if (bytes.indexOf(0) !== bytes.length - 1) throw new Error('a text does not end with its only zero');
  return bytes.toString('latin1', 0, bytes.length - 1);
}

const nested = 0x80_00;

function component(type: string, bytes: Buffer): { readonly text: string; readonly length: number } {
  switch (type) {
    case 'ipv4_addr':
      return { text: [...bytes.subarray(0, 4)].join('.'), length: 4 };
    case 'ipv6_addr': {
      const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
      return { text: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), length: 16 };
    }
    case 'inet_proto':
      if (bytes.readUInt32LE(0) > 0xff) throw new Error('a protocol is one byte');
      return { text: String(bytes[0]), length: 4 };
    case 'inet_service':
      if (bytes.readUInt16BE(2) !== 0) throw new Error('a port is two bytes');
      return { text: String(bytes.readUInt16BE(0)), length: 4 };
    case 'classid': {
      const number = bytes.readUInt32LE(0);
      const halves = `${(number >>> 16).toString(16)}:${(number & 0xff_ff).toString(16)}`;
      return { text: number === 0 ? 'none' : halves, length: 4 };
    }
    default:
      throw new Error(`no elements of type ${type} are packed`);
  }
}

function data(type: string, value: Buffer): string {
  const [bytes = Buffer.alloc(0)] = exactly(value, [1]);
  let at = 0;
  const texts = type.split(' . ').map((one) => {
    const read = component(one, bytes.subarray(at));
    at += read.length;
    return read.text;
  });
  if (at !== bytes.length) throw new Error(`${bytes.length} bytes for ${type}`);
  return texts.join(' . ');
}

function element(types: readonly (string | undefined)[], bytes: Buffer): string {
  const [keyType = '', valueType] = types;
  const [key = bytes, value = bytes] = exactly(
    bytes,
    valueType === undefined ? [1 | nested] : [1 | nested, 2 | nested],
  );
  return valueType === undefined ? data(keyType, key) : `${data(keyType, key)} : ${data(valueType, value)}`;
}

/** Messages of one batch: type, flags and what is behind both headers. */
function* messages(
  batch: Buffer,
  family: number,
): Generator<{ type: number; flags: number; content: Buffer }> {
  for (let at = 0; at < batch.length;) {
    const length = batch.readUInt32LE(at);
    const type = batch.readUInt16LE(at + 4);
    const around = type === 0x10 || type === 0x11;
    if (length % 4 !== 0 || at + length > batch.length) throw new Error(`a message of ${length} bytes`);
    if (batch[at + 16] !== (around ? 0 : family)) throw new Error('another family');
    if (batch.readUInt16BE(at + 18) !== (around ? 10 : 0)) throw new Error('another subsystem');
    yield { type, flags: batch.readUInt16LE(at + 6), content: batch.subarray(at + 20, at + length) };
    at += length;
  }
}

/** Deletions, additions, and the mark in place of the one before, which alone is acknowledged. */
const sequence = /^10\/1(,a0e\/1)*(,a0c\/401)*,a0e\/1,a0c\/405,11\/1$/u;

/** The commands of a batch, as text. */
export function batchCommands(batch: Buffer, shape: TableShape): string[] {
  const types = new Map(
    shape.sets.map(({ name, lines: [line = ''] }) => [name, line.replace('type ', '').split(' : ')]),
  );
  const table = `${shape.words.header} sluice`;
  const all = [...messages(batch, shape.words.version === 4 ? 2 : 10)];
  const kinds = all.map(({ type, flags }) => `${type.toString(16)}/${flags.toString(16)}`).join();
  if (!sequence.test(kinds)) throw new Error(`messages ${kinds}`);
  return all.slice(1, -1).map(({ type, content }, at) => {
    // The mark before goes, whatever it is.
    const last = at === all.length - 4;
    const [own = content, name = content, list] = exactly(content, last ? [1, 2] : [1, 2, 3 | nested]);
    if (text(own) !== 'sluice') throw new Error('another table');
    const set = text(name);
    if (list === undefined) return `flush set ${table} ${set}`;
    const [key, value] = types.get(set) ?? [];
    const items = attributes(list).map((one) => {
      if (one.type !== (1 | nested)) throw new Error('no element');
      return element(type === 0xa0e ? [key] : [key, value], one.bytes);
    });
    return `${type === 0xa0e ? 'delete' : 'add'} element ${table} ${set} { ${items.join(', ')} }`;
  });
}

/** The batches of what a relay was given. */
export function relayed(input: Buffer): Buffer[] {
  const batches: Buffer[] = [];
  for (let at = 0; at < input.length;) {
    const end = at + 4 + input.readUInt32LE(at);
    if (end > input.length) throw new Error('the input breaks off');
    batches.push(input.subarray(at + 4, end));
    at = end;
  }
  return batches;
}
