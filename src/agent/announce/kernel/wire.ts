/**
 * Addresses as bytes: of the network layer (4 or 16 bytes, in the order of the wire) and of the link layer (6 bytes).
 *
 * Everything that comes from the wire is looked up by `keyOf`, so that a packet costs no formatting of texts.
 */
import { formatAddress, parseAddress } from '../../../core/cidr.ts';
import { SluiceError } from '../../../core/errors.ts';

export const family4 = 2;
export const family6 = 10;

/** @throws SluiceError `invalid` where it is not exactly one address. */
export function addressBytes(text: string): Buffer {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new SluiceError('invalid', `${JSON.stringify(text)} is not an address`, { code: 'BadAddress' });
  }
  const digits = address.family === 'IPv4' ? 8 : 32;
  return Buffer.from(address.value.toString(16).padStart(digits, '0'), 'hex');
}

/** Canonical text of 4 or 16 bytes. */
export function addressText(bytes: Buffer): string {
  return formatAddress({
    family: bytes.length === 4 ? 'IPv4' : 'IPv6',
    value: BigInt(`0x${bytes.toString('hex')}`),
  });
}

/** A key for maps: equal exactly where the bytes are equal. */
export function keyOf(bytes: Buffer): string {
  return bytes.toString('latin1');
}

/** `02:00:5e:10:00:01` of 6 bytes. */
export function macText(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** @throws SluiceError `invalid` where it is not a link-layer address of 6 bytes. */
export function macBytes(text: string): Buffer {
  if (!/^(?:[\da-f]{2}:){5}[\da-f]{2}$/iu.test(text)) {
    throw new SluiceError('invalid', `${JSON.stringify(text)} is not a MAC address`, { code: 'BadMac' });
  }
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

export const broadcastMac = Buffer.alloc(6, 0xff);
