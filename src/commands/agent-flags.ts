/**
 * The flags of `sluice agent`, and what they mean together: the settings of the decision layer and of the process.
 * Every mistake is told at once, each with its cure.
 */
import { hostname } from 'node:os';
import type { DetectLocal, AgentSettings, NodePortAddresses } from '../agent/decide/settings.ts';
import type { PortRange } from '../agent/preflight.ts';
import { parseCidr } from '../core/cidr.ts';
import type { IpFamily, NodeName } from '../core/objects.ts';
import { parseListen } from '../observe/listening.ts';
import { accessFlags, logFlags } from './access.ts';
import { parseFlags } from './flags.ts';
import type { FlagValues } from './flags.ts';

/** kube-proxy's own port for health, taken only where kube-proxy is not. */
export const healthPorts = { labelled: 10_270, all: 10_256 } as const;

/** What decisions and rules depend on: shared by all commands that work them out. */
export const decisionFlags = {
  scope: {
    kind: 'choice',
    choices: ['labelled', 'all'],
    default: 'labelled',
    help: 'Which Services; labelled: beside kube-proxy, those that carry service.kubernetes.io/service-proxy-name=sluice; all: instead of kube-proxy, all that are not labelled for another proxy',
  },
  backend: {
    kind: 'choice',
    choices: ['auto', 'nftables', 'iptables'],
    default: 'auto',
    help: 'What is written; auto: nftables where the kernel has it, else iptables',
  },
  'iptables-variant': {
    kind: 'choice',
    choices: ['auto', 'legacy', 'nft'],
    default: 'auto',
    help: 'Which iptables; auto: the one that the node uses already',
  },
  'ip-families': {
    kind: 'choice',
    choices: ['auto', 'ipv4', 'ipv6', 'both'],
    default: 'auto',
    help: 'Address families to serve; auto: those that the kernel has',
  },
  'nodeport-addresses': {
    kind: 'list',
    value: 'RANGE',
    help: 'Where node ports answer: primary (the first address of the Node of each family; default), all, or ranges such as 10.0.0.0/8',
  },
  'localhost-nodeports': {
    kind: 'boolean',
    help: 'Node ports answer at 127.0.0.1 too; iptables backend and IPv4 only, and sets net.ipv4.conf.all.route_localnet=1',
  },
  'detect-local': {
    kind: 'choice',
    choices: ['auto', 'cluster-cidr', 'node-cidr', 'bridge', 'interface-prefix', 'none'],
    default: 'auto',
    help: 'How pods are told from others: all others are masqueraded at a cluster IP. cluster-cidr: by --cluster-cidr; node-cidr: by the pod range of this Node object; bridge, interface-prefix: by --pod-interface; none: nobody is, every source is kept; auto: by --cluster-cidr where it is given, else none',
  },
  'cluster-cidr': { kind: 'list', value: 'RANGE', help: 'Ranges of pod addresses, one or two families' },
  'pod-interface': {
    kind: 'string',
    value: 'NAME',
    help: 'Name of the bridge (detect-local bridge) or prefix of the names (interface-prefix) of pod interfaces',
  },
  'service-cidr': {
    kind: 'list',
    value: 'RANGE',
    help: 'Ranges of cluster IPs: an address in them that no Service has is dropped; scope all only',
  },
  'masquerade-all': { kind: 'boolean', help: 'Masquerade every connection to a cluster IP' },
  'mark-bit': {
    kind: 'integer',
    min: 0,
    max: 31,
    default: 13,
    help: 'Bit of the packet mark that asks for masquerading; kube-proxy takes 14',
  },
  'drop-invalid': {
    kind: 'choice',
    choices: ['auto', 'yes', 'no'],
    default: 'auto',
    help: 'Drop forwarded packets that connection tracking calls INVALID; iptables backend; auto: unless nf_conntrack_tcp_be_liberal is set',
  },
  'source-ranges-everywhere': {
    kind: 'boolean',
    help: 'Let loadBalancerSourceRanges guard external IPs and node ports too',
  },
  'strict-source-ranges': {
    kind: 'boolean',
    help: 'A Service whose source ranges name one family only is closed to the other',
  },
} as const;

export const agentFlags = {
  'node-name': {
    kind: 'string',
    value: 'NAME',
    env: 'NODE_NAME',
    help: 'Name of this Node object, as endpoints have it; default: the name of the host',
  },
  ...decisionFlags,
  'conntrack-forget': {
    kind: 'choice',
    choices: ['udp', 'udp+tcp', 'nothing'],
    default: 'udp',
    help: 'Tracked flows that are forgotten when who answers them serves no more; udp+tcp also cuts TCP connections to endpoints that are gone',
  },
  'node-port-range': {
    kind: 'string',
    value: 'FROM-TO',
    default: '30000-32767',
    help: "Node ports of the cluster, as the API server's --service-node-port-range: checked against ephemeral ports and programs that listen on the node",
  },
  counters: {
    kind: 'choice',
    choices: ['off', 'connections', 'bytes'],
    default: 'off',
    help: 'Count for each Service, in /metrics and for `sluice top`: new connections and those that are not served, by reason; bytes: the same and bytes, which costs every packet of a Service. Needs nf_tables and nft, also with --backend iptables',
  },
  'verify-every': {
    kind: 'duration',
    default: 300_000,
    help: 'How often the live kernel is compared with what was written; 0: never',
  },
  'api-server': {
    kind: 'string',
    value: 'URL',
    env: 'SLUICE_API_SERVER',
    help: 'Address of the API server that does not depend on the cluster IP; needed in a Pod with --scope all',
  },
  ...accessFlags,
  'health-bind': {
    kind: 'string',
    value: 'ADDRESS',
    help: 'Where /healthz and /livez are served; default :10270 beside kube-proxy, :10256 with --scope all',
  },
  listen: {
    kind: 'string',
    value: 'ADDRESS',
    default: '127.0.0.1:10271',
    help: 'Where metrics and the reasons behind what is done are served',
  },
  announce: {
    kind: 'boolean',
    help: 'Announce addresses of local mode from this node (ARP, neighbour discovery), together with the agents of the other nodes',
  },
  'heartbeat-bind': {
    kind: 'string',
    value: 'ADDRESS',
    default: ':10272',
    help: 'With --announce: UDP address where the heartbeats of the other agents are heard; without a host, all addresses, and the first internal one of the Node is told to the others',
  },
  namespace: {
    kind: 'string',
    value: 'NAME',
    default: 'sluice-system',
    help: 'With --announce: the namespace of the controller, where the Secret with the key of the heartbeats is',
  },
  'lease-namespace': {
    kind: 'string',
    value: 'NAME',
    env: 'POD_NAMESPACE',
    default: 'sluice-agent',
    help: 'With --announce: the namespace of the agents, where their Leases are; never the one of the controller, whose own Lease no agent may touch',
  },
  cleanup: { kind: 'boolean', help: 'Remove all rules of sluice from this node, nothing else, and end' },
  'dry-run': {
    kind: 'boolean',
    help: 'Print what would be written (with --counters also the counting table), and write nothing',
  },
  filename: {
    kind: 'list',
    value: 'FILE',
    short: 'f',
    help: 'With --dry-run: read Services, EndpointSlices and the Node from files or folders instead of a cluster',
  },
  ...logFlags,
} as const;

export type AgentFlags = FlagValues<typeof agentFlags>;

/**
 * The same choice for a command that only asks: its flags of decisions, and the defaults of all others.
 *
 * @param nodeName the node that is asked about; default: this machine's name.
 */
export function askedChoice(
  flags: FlagValues<typeof decisionFlags>,
  nodeName: string | undefined,
): ChoiceResult {
  const defaults = parseFlags(agentFlags, [], {}).values as AgentFlags;
  const given = Object.fromEntries(
    Object.entries(flags).filter(([name]) => Object.hasOwn(decisionFlags, name)),
  );
  // Without an environment: where the API server is matters to who writes only.
  return agentChoice({ ...defaults, ...given, 'node-name': nodeName }, {});
}

/** What the flags say. The backend and the families are settled later, by what the node has. */
export interface AgentChoice {
  readonly settings: Omit<AgentSettings, 'backend' | 'families' | 'dropInvalid'>;
  readonly backend: 'auto' | 'nftables' | 'iptables';
  readonly variant: 'auto' | 'legacy' | 'nft';
  readonly families: 'auto' | readonly IpFamily[];
  readonly dropInvalid: 'auto' | boolean;
  readonly forget: 'udp' | 'udp+tcp' | 'nothing';
  readonly healthBind: string;
  /** What the cluster gives node ports from. */
  readonly nodePortRange: PortRange;
}

export interface ChoiceResult {
  readonly choice: AgentChoice;
  /** One sentence each: what is wrong and the cure. */
  readonly mistakes: readonly string[];
}

/** Reads the flags as a whole. The choice is only to be used where there are no mistakes. */
export function agentChoice(
  flags: AgentFlags,
  env: Readonly<Record<string, string | undefined>>,
): ChoiceResult {
  const mistakes: string[] = [];
  const ranges = (flag: 'cluster-cidr' | 'service-cidr' | 'nodeport-addresses'): readonly string[] =>
    flags[flag].flatMap((text) => {
      const read = parseCidr(text);
      if (read.kind === 'cidr') return [read.cidr.text];
      mistakes.push(`--${flag}: ${read.message}`);
      return [];
    });

  if (flags.cleanup && flags['dry-run'])
    mistakes.push('--cleanup and --dry-run exclude each other; run the one that you want');
  if (flags.filename.length > 0 && !flags['dry-run'])
    mistakes.push(
      '--filename works with --dry-run only; an agent that writes rules reads them from the cluster',
    );
  if (flags['localhost-nodeports'] && flags.backend === 'nftables')
    mistakes.push(
      '--localhost-nodeports needs the iptables backend; add --backend iptables, or leave it away and use an address of the node',
    );
  if (flags['iptables-variant'] !== 'auto' && flags.backend === 'nftables')
    mistakes.push('--iptables-variant has no effect on --backend nftables; leave one of them away');
  if (flags['service-cidr'].length > 0 && flags.scope === 'labelled')
    mistakes.push(
      '--service-cidr works with --scope all only: beside kube-proxy other addresses in the range are not ours to drop',
    );
  if (flags['mark-bit'] === 14 && flags.scope === 'labelled')
    mistakes.push('--mark-bit 14 is the bit of kube-proxy, which runs beside us; choose another one');
  mistakes.push(...serverMistakes(flags, env));
  const nodePortRange = portRange(flags['node-port-range']);
  if (nodePortRange === undefined)
    mistakes.push(`--node-port-range is "${flags['node-port-range']}"; write FROM-TO, such as 30000-32767`);
  const healthBind = flags['health-bind'] ?? `:${healthPorts[flags.scope]}`;
  for (const [flag, text] of [
    ['health-bind', healthBind],
    ['listen', flags.listen],
    ['heartbeat-bind', flags['heartbeat-bind']],
  ] as const) {
    const { port } = parseListen(text);
    if (!text.includes(':') || !Number.isInteger(port) || port < 0 || port > 65_535)
      mistakes.push(`--${flag} is "${text}"; write ADDRESS:PORT, [ADDRESS]:PORT, or :PORT for all addresses`);
    else if (flags.scope === 'labelled' && port === healthPorts.all)
      mistakes.push(
        `--${flag} is "${text}", the health port of kube-proxy, which runs beside us; choose another port`,
      );
  }
  return {
    choice: {
      settings: {
        scope: flags.scope,
        nodeName: (flags['node-name'] ?? hostname().toLowerCase()) as NodeName,
        detectLocal: detectLocal(flags, ranges('cluster-cidr'), mistakes),
        masqueradeAll: flags['masquerade-all'],
        nodePortAddresses: nodePortAddresses(flags['nodeport-addresses'], ranges, mistakes),
        localhostNodePorts: flags['localhost-nodeports'],
        markBit: flags['mark-bit'],
        serviceRanges: ranges('service-cidr'),
        guardEverything: flags['source-ranges-everywhere'],
        strictSourceRanges: flags['strict-source-ranges'],
      },
      backend: flags.backend,
      variant: flags['iptables-variant'],
      families: familiesOf(flags['ip-families']),
      dropInvalid: flags['drop-invalid'] === 'auto' ? 'auto' : flags['drop-invalid'] === 'yes',
      forget: flags['conntrack-forget'],
      healthBind,
      nodePortRange: nodePortRange ?? { from: 30_000, to: 32_767 },
    },
    mistakes,
  };
}

function portRange(text: string): PortRange | undefined {
  const [, from = '0', to = '0'] = /^(\d{1,5})-(\d{1,5})$/u.exec(text) ?? [];
  const range = { from: Number(from), to: Number(to) };
  return range.from >= 1 && range.from <= range.to && range.to <= 65_535 ? range : undefined;
}

function familiesOf(flag: AgentFlags['ip-families']): AgentChoice['families'] {
  switch (flag) {
    case 'ipv4':
      return ['IPv4'];
    case 'ipv6':
      return ['IPv6'];
    case 'both':
      return ['IPv4', 'IPv6'];
    case 'auto':
      return 'auto';
  }
}

function nodePortAddresses(
  given: readonly string[],
  ranges: (flag: 'nodeport-addresses') => readonly string[],
  mistakes: string[],
): NodePortAddresses {
  const words = given.filter((text) => text === 'primary' || text === 'all');
  const [word] = words;
  if (word === undefined) return given.length === 0 ? 'primary' : ranges('nodeport-addresses');
  if (given.length > 1) mistakes.push(`--nodeport-addresses: "${word}" stands alone; leave the rest away`);
  return word === 'all' ? 'all' : 'primary';
}

function detectLocal(flags: AgentFlags, cidrs: readonly string[], mistakes: string[]): DetectLocal {
  const asked = flags['detect-local'];
  const name = flags['pod-interface'];
  const byName = asked === 'bridge' || asked === 'interface-prefix';
  const byRange = asked === 'cluster-cidr' || asked === 'auto';
  if (name !== undefined && !byName)
    mistakes.push('--pod-interface works with --detect-local bridge or interface-prefix; name one of them');
  if (flags['cluster-cidr'].length > 0 && !byRange)
    mistakes.push(`--cluster-cidr works with --detect-local cluster-cidr; it is ${asked}`);
  switch (asked) {
    case 'node-cidr':
      return { kind: 'node-cidr' };
    case 'bridge':
    case 'interface-prefix':
      if (name === undefined) mistakes.push(`--detect-local ${asked} needs --pod-interface NAME`);
      return asked === 'bridge'
        ? { kind: 'bridge', name: name ?? '' }
        : { kind: 'interface-prefix', prefix: name ?? '' };
    case 'cluster-cidr':
      if (flags['cluster-cidr'].length === 0)
        mistakes.push('--detect-local cluster-cidr needs --cluster-cidr RANGE');
      return { kind: 'cluster-cidr', cidrs };
    case 'auto':
    case 'none':
      return cidrs.length > 0 ? { kind: 'cluster-cidr', cidrs } : { kind: 'none' };
  }
}

/** An agent that programs the cluster IP of the API server must not reach the server through it. */
function serverMistakes(
  flags: AgentFlags,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const server = flags['api-server'];
  if (server !== undefined && !/^https?:$/u.test(URL.canParse(server) ? new URL(server).protocol : ''))
    return [`--api-server is "${server}"; it must be an http or https URL such as https://10.0.0.1:6443`];
  const inPod =
    env['KUBERNETES_SERVICE_HOST'] !== undefined &&
    flags.kubeconfig === undefined &&
    flags.context === undefined &&
    (env['KUBECONFIG'] ?? '') === '';
  if (flags.scope === 'all' && inPod && server === undefined && !flags.cleanup)
    return [
      '--scope all in a Pod needs --api-server URL (or --kubeconfig FILE): the address that the Pod is given is a cluster IP, which nobody would program but this agent',
    ];
  return [];
}
