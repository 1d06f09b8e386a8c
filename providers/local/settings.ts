/** What a Service asks of the provider, from its spec and annotations, with every mistake. Pure. */
import { parseBool, parseList, unknownKeys } from '../../src/core/annotations.ts';
import { formatAddress, parseAddress } from '../../src/core/cidr.ts';
import type { IpFamily, ServiceObject } from '../../src/core/objects.ts';
import { annotationField, type Problem } from '../../src/core/problems.ts';
import type { Parsed } from '../../src/core/provider.ts';
import { annotations as table, metallbKeys, metallbPrefixes, ownKeys } from './annotations.ts';

export interface LocalSettings {
  /** In order of preference; at least one. */
  readonly families: readonly IpFamily[];
  readonly needsAll: boolean;
  /** Canonical, at most one of each family. */
  readonly addresses: readonly string[];
  readonly pool: string | undefined;
  readonly sharingKey: string | undefined;
  readonly mayMove: boolean;
}

/** Name of an object, as the API server accepts it. */
const objectName = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/u;

interface Said {
  readonly key: string;
  readonly text: string;
}

export function parseService(service: ServiceObject): Parsed<LocalSettings> {
  const problems: Problem[] = [];
  const families = familiesOf(service);
  const addresses = readAddresses(service, families, problems);
  const pool = said(service, ownKeys.pool, metallbKeys.pool);
  if (pool !== undefined && !objectName.test(pool.text)) {
    problems.push(invalid(pool, 'is not the name of a pool', 'write the name of an AddressPool'));
  }
  const sharing = said(service, ownKeys.sharing, metallbKeys.sharing);
  if (sharing !== undefined && sharing.text.trim() === '') {
    problems.push(invalid(sharing, 'is no word', 'write the word that the sharing Services have in common'));
  }
  const move = service.annotations[ownKeys.move];
  const mayMove = move === undefined ? false : parseBool(move);
  if (move !== undefined && mayMove === undefined) {
    problems.push(invalid({ key: ownKeys.move, text: move }, 'is not true or false', 'write true or false'));
  }
  const known = table.map(({ key }) => key);
  return {
    settings: {
      families,
      needsAll: families.length === 1 || service.ipFamilyPolicy === 'RequireDualStack',
      addresses,
      pool: pool === undefined || !objectName.test(pool.text) ? undefined : pool.text,
      sharingKey: sharing?.text.trim() === '' ? undefined : sharing?.text.trim(),
      mayMove: mayMove ?? false,
    },
    problems: [...problems, ...unknownKeys(service.annotations, metallbPrefixes, known)],
  };
}

/** Families as the API server settled them; an object from a file may lack them. */
function familiesOf({ ipFamilies, clusterIPs }: ServiceObject): readonly IpFamily[] {
  if (ipFamilies.length > 0) return ipFamilies;
  const seen = new Set(clusterIPs.map((ip): IpFamily => (ip.includes(':') ? 'IPv6' : 'IPv4')));
  return seen.size > 0 ? [...seen] : ['IPv4'];
}

function readAddresses(
  service: ServiceObject,
  families: readonly IpFamily[],
  problems: Problem[],
): readonly string[] {
  const annotated = said(service, ownKeys.addresses, metallbKeys.addresses);
  const inSpec = service.loadBalancerIP;
  const field = annotated === undefined ? 'spec.loadBalancerIP' : annotationField(annotated.key);
  const texts = annotated === undefined ? (inSpec === undefined ? [] : [inSpec]) : parseList(annotated.text);
  const problem = (message: string, cure: string): void => {
    problems.push({ severity: 'error', reason: 'InvalidAnnotation', field, message, cure });
  };
  if (annotated !== undefined && texts.length === 0) problem('it names no address', 'name one, or remove it');
  const found = new Map<IpFamily, string>();
  for (const text of texts) {
    const address = parseAddress(text);
    if (address === undefined) problem(`"${text}" is not an address`, 'write an address such as 192.0.2.10');
    else if (!families.includes(address.family))
      problem(
        `"${text}" is ${address.family}, and the Service has ${families.join(' and ')} only`,
        'ask for an address of a family of the Service, or change spec.ipFamilies',
      );
    else if (found.has(address.family))
      problem(`"${text}" is the second ${address.family} address`, 'name at most one of each family');
    else found.set(address.family, formatAddress(address));
  }
  if (annotated !== undefined && inSpec !== undefined && !texts.includes(inSpec)) {
    problem(`it names other addresses than spec.loadBalancerIP, which is ${inSpec}`, 'remove one of the two');
  }
  return families.flatMap((family) => found.get(family) ?? []);
}

/** Our own word for it, or MetalLB's; where there are several, ours counts, then MetalLB's present prefix. */
function said({ annotations }: ServiceObject, own: string, theirs: string): Said | undefined {
  for (const key of [own, ...metallbPrefixes.map((prefix) => `${prefix}${theirs}`)]) {
    const text = annotations[key];
    if (text !== undefined) return { key, text };
  }
  return undefined;
}

function invalid({ key, text }: Said, what: string, cure: string): Problem {
  return {
    severity: 'error',
    reason: 'InvalidAnnotation',
    field: annotationField(key),
    message: `"${text}" ${what}`,
    cure,
  };
}
