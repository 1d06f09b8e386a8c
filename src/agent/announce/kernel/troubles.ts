/** Why an address does not stand, in words with their cure. */
import { SluiceError } from '../../../core/errors.ts';
import { errnoName } from './kernel-errors.ts';
import type { Placement } from './placements.ts';
import type { LinkFacts } from './rtnetlink.ts';

type Where = Pick<Placement, 'address' | 'linkName'>;

export function lapsed({ address }: Where): SluiceError {
  return new SluiceError(
    'transient',
    `the agent stood still for longer than ${address} lives without it, so it has let go; it is held again once that is decided anew`,
    { code: 'Lapsed' },
  );
}

export function lost({ address, linkName }: Where): SluiceError {
  return new SluiceError('transient', `${address} could not be renewed on ${linkName} in time`, {
    code: 'NotRenewed',
  });
}

export function unheard({ address, linkName }: Where): SluiceError {
  return new SluiceError(
    'transient',
    `the agent has slept, and listens to the others before it puts ${address} on ${linkName}`,
    { code: 'NotHeard' },
  );
}

export function removed({ address, linkName }: Where): SluiceError {
  return new SluiceError(
    'conflict',
    `${address} was taken off ${linkName} by somebody else on this node; it is put back. If that happens again, look for what manages ${linkName} (NetworkManager, systemd-networkd, a script)`,
    { code: 'AddressRemoved' },
  );
}

/** What stands in the way of an address on a link, as far as it can be known beforehand. */
export function obstacle(
  { address, linkName }: Where,
  link: LinkFacts | undefined,
  ownOf: LinkFacts | undefined,
): SluiceError | undefined {
  if (link === undefined) {
    return new SluiceError(
      'invalid',
      `there is no interface ${linkName} on this node, so ${address} is not announced there; correct spec.interfaces of its AddressPool`,
      { code: 'InterfaceMissing' },
    );
  }
  if (ownOf !== undefined) {
    return new SluiceError(
      'invalid',
      `${address} is an address of this node itself (${ownOf.name}); take it out of the AddressPool`,
      { code: 'AddressOfNode' },
    );
  }
  if (link.mac.length !== 6) {
    return new SluiceError(
      'invalid',
      `${linkName} is not Ethernet: ${address} cannot be announced there; name another interface in the AddressPool`,
      { code: 'InterfaceUnusable' },
    );
  }
  return link.enabled
    ? undefined
    : new SluiceError('transient', `${linkName} is switched off, so ${address} is not announced there`, {
        code: 'InterfaceDown',
      });
}

/** The kernel refused to put an address on a link. */
export function refused({ address, linkName }: Where, errno: number): SluiceError {
  const name = errnoName(errno);
  const where = `${address} on ${linkName}`;
  switch (name) {
    case 'EPERM':
      return new SluiceError('denied', `the agent may not put ${where}: give it the capability NET_ADMIN`, {
        code: 'CapabilityMissing',
      });
    case 'EACCES':
      return new SluiceError(
        'invalid',
        `the kernel refuses ${where}: ${address.includes(':') ? `IPv6 is switched off there (net.ipv6.conf.${linkName}.disable_ipv6)` : name}`,
        { code: name },
      );
    default:
      return new SluiceError('transient', `the kernel refuses ${where}: ${name}`, { code: name });
  }
}
