/**
 * A question about one packet as a person writes it: `--from A --to B:port/proto` (pure).
 *
 * Reading never guesses: what is not understood is a mistake that names the forms there are.
 */
import type { IpFamily, TransportProtocol } from '../../core/objects.ts';
import { canonical, familyOf } from '../decide/addresses.ts';

export interface Named {
  /** Undefined: that of the context. */
  readonly namespace: string | undefined;
  readonly name: string;
}

/** Who asks. */
export type From =
  | { readonly kind: 'address'; readonly address: string; readonly family: IpFamily }
  | ({ readonly kind: 'pod' } & Named)
  /** A process on the node itself. */
  | { readonly kind: 'node' };

/** What is asked for. */
export type To = {
  /** Undefined: TCP, or the protocol of the port that is named. */
  readonly protocol: TransportProtocol | undefined;
} & (
  | { readonly kind: 'address'; readonly address: string; readonly family: IpFamily; readonly port: number }
  /** The cluster IP; port by number or name, or undefined where the Service has one only. */
  | ({ readonly kind: 'service'; readonly port: number | string | undefined } & Named)
  /** A node port at the node that is asked about. */
  | { readonly kind: 'node'; readonly port: number }
);

export type Read<T> = { readonly value: T } | { readonly mistake: string };

const fromForms = 'an address, pod/NAME, pod/NAMESPACE/NAME, or node';
const toForms =
  'ADDRESS:PORT, [ADDRESS]:PORT, svc/NAME:PORT, svc/NAMESPACE/NAME:PORT, or node:PORT, each with /tcp, /udp or /sctp behind it';

export function readFrom(text: string): Read<From> {
  if (text === 'node') return { value: { kind: 'node' } };
  const pod = /^pods?\/(.+)$/u.exec(text)?.[1];
  if (pod !== undefined) {
    const named = readName(pod);
    return named === undefined
      ? { mistake: `--from is "${text}"; write pod/NAME or pod/NAMESPACE/NAME` }
      : { value: { kind: 'pod', ...named } };
  }
  const address = readAddress(text.replace(/^\[(.*)\]$/u, '$1'));
  return address === undefined
    ? { mistake: `--from is "${text}"; write ${fromForms}` }
    : { value: { kind: 'address', ...address } };
}

export function readTo(text: string): Read<To> {
  const wrong = (what: string): Read<To> => ({ mistake: `--to is "${text}": ${what}; write ${toForms}` });
  const service = /^(?:svc|services?)\/(.+)$/iu.exec(text)?.[1];
  if (service !== undefined) return readService(service, wrong);
  const [rest, protocol] = splitProtocol(text);
  if (protocol === 'unknown') return wrong(unknownProtocol(text));
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):([^:]*)$/u.exec(rest);
  if (parts === null) {
    const bare = readAddress(rest) !== undefined || rest === 'node';
    return wrong(bare ? 'the port is missing' : 'not understood');
  }
  const [, bracketed, plain = '', portText = ''] = parts;
  const port = readPort(portText);
  if (port === undefined) return wrong(`"${portText}" is not a port from 1 to 65535`);
  if (plain === 'node') return { value: { kind: 'node', port, protocol } };
  const address = readAddress(bracketed ?? plain);
  if (address === undefined) return wrong(`"${bracketed ?? plain}" is not an address`);
  return { value: { kind: 'address', ...address, port, protocol } };
}

function readService(text: string, wrong: (what: string) => Read<To>): Read<To> {
  const colon = text.indexOf(':');
  const [nameText, portText] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  const named = readName(nameText);
  if (named === undefined) return wrong(`"${nameText}" is not the name of a Service`);
  if (portText === undefined)
    return { value: { kind: 'service', ...named, port: undefined, protocol: undefined } };
  const [port, protocol] = splitProtocol(portText);
  if (protocol === 'unknown') return wrong(unknownProtocol(portText));
  if (/^\d+$/u.test(port)) {
    const number = readPort(port);
    if (number === undefined) return wrong(`"${port}" is not a port from 1 to 65535`);
    return { value: { kind: 'service', ...named, port: number, protocol } };
  }
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/u.test(port)) return wrong(`"${port}" is not a port`);
  return { value: { kind: 'service', ...named, port, protocol } };
}

function readName(text: string): Named | undefined {
  const parts = text.split('/');
  const [first = '', second] = parts;
  const good = parts.every((part) => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/u.test(part));
  if (!good || parts.length > 2) return undefined;
  return second === undefined ? { namespace: undefined, name: first } : { namespace: first, name: second };
}

function splitProtocol(text: string): readonly [string, TransportProtocol | 'unknown' | undefined] {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return [text, undefined];
  const word = text.slice(slash + 1).toUpperCase();
  const known = word === 'TCP' || word === 'UDP' || word === 'SCTP';
  return [text.slice(0, slash), known ? word : 'unknown'];
}

function unknownProtocol(text: string): string {
  return `"${text.slice(text.lastIndexOf('/') + 1)}" is not a protocol of Services (tcp, udp, sctp)`;
}

function readPort(text: string): number | undefined {
  const number = /^\d{1,5}$/u.test(text) ? Number(text) : 0;
  return number >= 1 && number <= 65_535 ? number : undefined;
}

function readAddress(text: string): { readonly address: string; readonly family: IpFamily } | undefined {
  const family = familyOf(text);
  const address = family === undefined ? undefined : canonical(text, family);
  return family === undefined || address === undefined ? undefined : { address, family };
}
