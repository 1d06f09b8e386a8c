/** The flags of `sluice explain`: of its answers about a Service, and of those about a packet. */
import { accessFlags, configFlag, outputFlag } from './access.ts';
import { decisionFlags } from './agent-flags.ts';
import type { FlagValues } from './flags.ts';

const packetFlags = {
  from: {
    kind: 'string',
    value: 'WHO',
    help: 'Who sends the packet that is asked about: an address, pod/NAME, or node (a process of the node)',
  },
  to: {
    kind: 'string',
    value: 'WHAT',
    help: 'Where it is sent: ADDRESS:PORT, svc/NAME:PORT (its cluster IP) or node:PORT, with /tcp (default), /udp or /sctp',
  },
  node: {
    kind: 'string',
    value: 'NAME',
    env: 'NODE_NAME',
    help: 'Node whose rules the packet meets; default: that of the pod, the one that holds the address, or this machine',
  },
  interface: {
    kind: 'string',
    value: 'NAME',
    help: 'Interface that the packet comes in by; only --detect-local bridge and interface-prefix care',
  },
  filename: {
    kind: 'list',
    value: 'FILE',
    short: 'f',
    help: 'With --from and --to: read Services, EndpointSlices, Nodes and Pods from files or folders instead of a cluster',
  },
  trace: {
    kind: 'boolean',
    help: 'With --from and --to, as root on the node: send one real packet and print what the kernel does with it; needs the program nft, and nftables or iptables-nft',
  },
  netns: {
    kind: 'string',
    value: 'NAME',
    help: 'Network namespace that --trace sends from; default: the one that holds the source',
  },
  'trace-wait': {
    kind: 'duration',
    default: 30_000,
    help: 'How long --trace waits for a packet of a source that it cannot send as',
  },
  ...decisionFlags,
} as const;

export const explainFlags = {
  namespace: {
    kind: 'string',
    value: 'NAME',
    short: 'n',
    help: 'Namespace of the Service; default: that of the context',
  },
  config: configFlag,
  output: outputFlag,
  ...packetFlags,
  ...accessFlags,
} as const;

export type ExplainFlags = FlagValues<typeof explainFlags>;
