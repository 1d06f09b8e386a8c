/** On which links of this node an address is announced. Pure. */
import { contains, parseAddress, parseCidr } from '../../core/cidr.ts';
import type { Link } from './announcer.ts';

export type LinkChoice =
  | { readonly kind: 'links'; readonly names: readonly string[] }
  /** `InterfaceMissing`: named and not there; `LinkDown`: there and of no use now; `NoLink`: none fits. */
  | {
      readonly kind: 'none';
      readonly reason: 'InterfaceMissing' | 'LinkDown' | 'NoLink';
      readonly message: string;
    };

/**
 * What the pool names, as far as it is there and up; else the links whose network holds the address; else those that
 * the default route of its family leaves by.
 */
export function chooseLinks(address: string, asked: readonly string[], links: readonly Link[]): LinkChoice {
  const found =
    asked.length > 0
      ? links.filter(({ name }) => asked.includes(name))
      : links.filter(({ usable }) => usable).filter(({ networks }) => onLink(address, networks));
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const chosen =
    found.length > 0 || asked.length > 0
      ? found
      : links.filter(({ usable, defaultRoute }) => usable && defaultRoute[family]);
  const up = chosen.filter((link) => link.up);
  if (up.length > 0) return { kind: 'links', names: up.map(({ name }) => name).toSorted() };
  if (chosen.length > 0) {
    const names = chosen.map(({ name }) => name).join(', ');
    return { kind: 'none', reason: 'LinkDown', message: `interface ${names} is down` };
  }
  const present = links.map(({ name }) => name).join(', ');
  if (asked.length > 0) {
    const message = `the pool names interface ${asked.join(', ')}; the node has ${present === '' ? 'none' : present}`;
    return { kind: 'none', reason: 'InterfaceMissing', message };
  }
  const message = `no interface has a network with ${address} or a default route of its family; the node has ${present === '' ? 'none' : present}`;
  return { kind: 'none', reason: 'NoLink', message };
}

function onLink(text: string, networks: readonly string[]): boolean {
  const address = parseAddress(text);
  return (
    address !== undefined &&
    networks.some((network) => {
      const parsed = parseCidr(network);
      return parsed.kind === 'cidr' && contains(parsed.cidr, address);
    })
  );
}
