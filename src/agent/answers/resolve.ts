/**
 * From a question to the packet that it is about and the node that meets it (pure).
 *
 * Every name is looked up in a picture that was read before; what is missing is an error that says what there is
 * instead. The node is the one that is named, else the one that such a packet meets first: that of the pod that asks,
 * or the one that holds the destination.
 */
import { suggest } from '../../core/annotations.ts';
import { SluiceError } from '../../core/errors.ts';
import type {
  EndpointSliceObject,
  IpFamily,
  NodeName,
  NodeObject,
  ServiceObject,
  ServicePort,
  TransportProtocol,
} from '../../core/objects.ts';
import { canonical, isLoopback } from '../decide/addresses.ts';
import type { DetectLocal } from '../decide/settings.ts';
import { viewNode } from '../decide/view.ts';
import type { AgentSettings } from '../decide/settings.ts';
import type { Packet } from '../packet.ts';
import type { From, Named, To } from './question.ts';

export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly node: string | undefined;
  readonly hostNetwork: boolean;
}

/** What was read to answer. */
export interface Picture {
  readonly services: readonly ServiceObject[];
  /** Of the Services that the question may be about, at least. */
  readonly slices: readonly EndpointSliceObject[];
  readonly nodes: readonly NodeObject[];
  readonly pods: readonly PodFacts[];
  /** Where a name without a namespace is looked up. */
  readonly namespace: string;
  /** What could not be read, one sentence each: absent is then not the same as not there. */
  readonly unread: readonly string[];
}

export interface Question {
  readonly from: From;
  readonly to: To;
  /** The node whose rules are asked about, where it is named. */
  readonly node: string | undefined;
  /** The interface that the packet comes in by, where it is named. */
  readonly interface: string | undefined;
}

export interface Resolved {
  readonly packet: Packet;
  readonly nodeName: NodeName;
  /** Undefined where it could not be read. */
  readonly node: NodeObject | undefined;
  /** Every address of the node's interfaces. */
  readonly addresses: ReadonlySet<string>;
  readonly notes: readonly string[];
}

export interface Around {
  /** Name of the machine that the question is asked on, where that may be a node. */
  readonly ownName: string | undefined;
  /** Addresses of a node's interfaces, as far as they can be known. */
  readonly addressesOf: (node: NodeObject | undefined) => ReadonlySet<string>;
  readonly settings: AgentSettings;
}

/** @throws SluiceError `invalid` where the question cannot be about any packet; the message is for the asker. */
export function resolve(question: Question, picture: Picture, around: Around): Resolved {
  const { from, to } = question;
  const notes: string[] = [];
  const pod = from.kind === 'pod' ? findPod(from, picture) : undefined;
  const family = chooseFamily(question, pod, picture, around);
  const nodeName = chooseNode(question, pod, picture, around);
  const node = picture.nodes.find(({ name }) => name === nodeName);
  if (pod?.node !== undefined && pod.node !== nodeName)
    notes.push(`pod ${pod.name} runs on ${pod.node}, whose rules its packets meet first`);
  const addresses = around.addressesOf(node);
  const { primary } = viewNode(node, around.settings);
  const { destination, port, protocol } = findDestination(to, family, picture, () => {
    const address = primary[family];
    if (address === undefined)
      throw mistake(
        'NoNodeAddress',
        `node ${nodeName} has no known ${family} address; name the address itself`,
      );
    return address;
  });
  const source = findSource(from, pod, family, {
    nodeName,
    own: isLoopback(destination) ? destination : primary[family],
  });
  const isProcess =
    from.kind === 'node' ||
    addresses.has(source) ||
    isLoopback(source) ||
    (pod?.hostNetwork === true && pod.node === nodeName);
  return {
    packet: {
      family,
      protocol,
      source,
      destination,
      port,
      from: isProcess
        ? { kind: 'process' }
        : {
            kind: 'interface',
            name: question.interface ?? interfaceOf(around.settings.detectLocal, pod, nodeName, notes),
          },
    },
    nodeName,
    node,
    addresses,
    notes,
  };
}

function mistake(code: string, message: string): SluiceError {
  return new SluiceError('invalid', message, { code });
}

function findPod(named: Named, { pods, namespace }: Picture): PodFacts {
  const wanted = named.namespace ?? namespace;
  const found = pods.find((pod) => pod.name === named.name && pod.namespace === wanted);
  if (found === undefined)
    throw mistake(
      'NoSuchPod',
      `there is no pod ${named.name} in namespace ${wanted}; name its address instead`,
    );
  if (found.addresses.length === 0)
    throw mistake('PodWithoutAddress', `pod ${found.name} has no address yet; it cannot send anything`);
  return found;
}

function chooseNode(
  { node, to, from }: Question,
  pod: PodFacts | undefined,
  { nodes, unread }: Picture,
  { ownName }: Around,
): NodeName {
  if (node !== undefined) {
    if (nodes.some(({ name }) => name === node)) return node as NodeName;
    // Nodes that were not read are not absent.
    if (nodes.length === 0 && unread.length > 0) return node as NodeName;
    const near = suggest(
      node,
      nodes.map(({ name }) => name),
    );
    const hint =
      near !== undefined
        ? `; did you mean ${near}?`
        : nodes.length === 0
          ? `; what was read has no Node object at all: \`kubectl get node ${node} -o yaml\` prints it for the files`
          : `; there is ${list(nodes.map(({ name }) => name))}`;
    throw mistake('NoSuchNode', `there is no Node ${node}${hint}`);
  }
  if (pod?.node !== undefined) return pod.node as NodeName;
  const holder = (address: string): NodeObject | undefined =>
    nodes.find(({ internalIPs, externalIPs }) => [...internalIPs, ...externalIPs].includes(address));
  const byAddress =
    (from.kind === 'address' ? holder(from.address) : undefined) ??
    (to.kind === 'address' ? holder(to.address) : undefined);
  if (byAddress !== undefined) return byAddress.name;
  const own = nodes.find(({ name }) => name === ownName);
  if (own !== undefined) return own.name;
  const [only, another] = nodes;
  if (only !== undefined && another === undefined) return only.name;
  if (ownName !== undefined && nodes.length === 0 && unread.length > 0) return ownName as NodeName;
  throw mistake(
    'NodeNeeded',
    nodes.length === 0
      ? 'there is no Node object in what was read, and the answer depends on the node; add it, and name it with --node'
      : `the answer depends on the node that the packet meets; name one with --node: ${list(nodes.map(({ name }) => name))}`,
  );
}

function chooseFamily(
  { from, to }: Question,
  pod: PodFacts | undefined,
  { services, namespace }: Picture,
  { settings }: Around,
): IpFamily {
  const fromFamily = from.kind === 'address' ? from.family : undefined;
  const toFamily = to.kind === 'address' ? to.family : undefined;
  if (fromFamily !== undefined && toFamily !== undefined && fromFamily !== toFamily) {
    throw mistake(
      'OtherFamily',
      `the source is ${fromFamily} and the destination ${toFamily}; a packet has one family, so name two of the same`,
    );
  }
  const named = toFamily ?? fromFamily;
  if (named !== undefined) return named;
  const able = (pod?.addresses ?? []).flatMap((text) => familiesOf(text));
  const key = to.kind === 'service' ? `${to.namespace ?? namespace}/${to.name}` : '';
  const service = services.find((one) => one.key === key);
  const offered =
    service === undefined ? settings.families : service.clusterIPs.flatMap((text) => familiesOf(text));
  const both = offered.find((family) => able.length === 0 || able.includes(family));
  return both ?? able[0] ?? offered[0] ?? 'IPv4';
}

function familiesOf(address: string): readonly IpFamily[] {
  return (['IPv4', 'IPv6'] as const).filter((family) => canonical(address, family) !== undefined);
}

interface Destination {
  readonly destination: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
}

function findDestination(to: To, family: IpFamily, picture: Picture, nodeAddress: () => string): Destination {
  switch (to.kind) {
    case 'address':
      return { destination: to.address, port: to.port, protocol: to.protocol ?? 'TCP' };
    case 'node':
      return { destination: nodeAddress(), port: to.port, protocol: to.protocol ?? 'TCP' };
    case 'service': {
      const service = findService(to, picture);
      const { port, protocol } = findPort(service, to);
      const destination = service.clusterIPs.flatMap((text) => canonical(text, family) ?? [])[0];
      if (destination !== undefined) return { destination, port, protocol };
      if (service.type === 'ExternalName' || service.headless) {
        const why = service.headless ? 'headless' : 'of type ExternalName';
        throw mistake(
          'NoClusterIP',
          `Service ${service.key} has no cluster IP (it is ${why}): names lead straight to its endpoints, and no rule is concerned`,
        );
      }
      if (service.clusterIPs.length === 0) {
        throw mistake(
          'NoClusterIP',
          `Service ${service.key} has no cluster IP yet; in a file, give the Service as the cluster has it (kubectl get service ${service.name} -o yaml)`,
        );
      }
      throw mistake(
        'OtherFamily',
        `Service ${service.key} has no ${family} cluster IP (only ${list(service.clusterIPs)}); ask from an address of the family that it has`,
      );
    }
  }
}

function findService(named: Named, { services, namespace, unread }: Picture): ServiceObject {
  const wanted = named.namespace ?? namespace;
  const found = services.find((one) => one.namespace === wanted && one.name === named.name);
  if (found !== undefined) return found;
  const elsewhere = services.find(({ name }) => name === named.name);
  const near = suggest(
    named.name,
    services.filter((one) => one.namespace === wanted).map(({ name }) => name),
  );
  const hint =
    elsewhere !== undefined
      ? `; there is one in ${elsewhere.namespace}: svc/${elsewhere.namespace}/${elsewhere.name}`
      : near !== undefined
        ? `; did you mean ${near}?`
        : unread.length > 0
          ? ` (${unread.join('; ')})`
          : '';
  throw mistake('NoSuchService', `there is no Service ${named.name} in namespace ${wanted}${hint}`);
}

function findPort(
  service: ServiceObject,
  { port, protocol }: Extract<To, { kind: 'service' }>,
): { readonly port: number; readonly protocol: TransportProtocol } {
  const matches = (one: ServicePort): boolean =>
    (port === undefined || (typeof port === 'number' ? one.port === port : one.name === port)) &&
    (protocol === undefined || one.protocol === protocol);
  const found = service.ports.filter(matches);
  const [first, second] = found;
  const has = list(
    service.ports.map((one) => `${one.port}/${one.protocol}${one.name === '' ? '' : ` (${one.name})`}`),
  );
  if (first !== undefined && (second === undefined || port !== undefined))
    // Of one number in two protocols, TCP is meant where nobody says.
    return found.find((one) => one.protocol === 'TCP') ?? first;
  if (first !== undefined) throw mistake('PortNeeded', `Service ${service.key} has ${has}; name one of them`);
  // A port that the cluster IP does not have is a fair question: it is refused, and the answer says so.
  if (typeof port === 'number') return { port, protocol: protocol ?? 'TCP' };
  throw mistake(
    'NoSuchPort',
    port === undefined
      ? `Service ${service.key} has no ${protocol} port; it has ${has}`
      : `Service ${service.key} has no port "${port}"${protocol === undefined ? '' : ` of ${protocol}`}; it has ${has}`,
  );
}

function findSource(
  from: From,
  pod: PodFacts | undefined,
  family: IpFamily,
  { nodeName, own }: { readonly nodeName: string; readonly own: string | undefined },
): string {
  switch (from.kind) {
    case 'address':
      return from.address;
    case 'pod': {
      const address = pod?.addresses.flatMap((text) => canonical(text, family) ?? [])[0];
      if (address !== undefined) return address;
      throw mistake(
        'OtherFamily',
        `pod ${from.name} has no ${family} address (it has ${list(pod?.addresses ?? [])}), and the destination is ${family}`,
      );
    }
    case 'node':
      if (own !== undefined) return own;
      throw mistake(
        'NoNodeAddress',
        `node ${nodeName} has no known ${family} address; name the source's address`,
      );
  }
}

/** By which interface a packet comes in that is not said: only modes that tell pods by it care. */
function interfaceOf(
  detect: DetectLocal,
  pod: PodFacts | undefined,
  nodeName: string,
  notes: string[],
): string {
  const byInterface = detect.kind === 'bridge' || detect.kind === 'interface-prefix';
  if (!byInterface) return 'any';
  const here = pod?.node === nodeName;
  notes.push(
    here
      ? 'the pod is taken to come in by a pod interface; --interface NAME says otherwise'
      : 'the packet is taken to come in by an interface that is not a pod interface; --interface NAME says otherwise',
  );
  if (!here) return 'uplink';
  return detect.kind === 'bridge' ? detect.name : `${detect.prefix}0`;
}

function list(texts: readonly string[]): string {
  const shown = texts.slice(0, 8).join(', ');
  return texts.length > 8 ? `${shown} and ${texts.length - 8} more` : shown;
}
