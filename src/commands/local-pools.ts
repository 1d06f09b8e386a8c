/** `sluice local pools --propose`: a first AddressPool for the nodes' network, with the reasons, for a person to judge. */
import { command, exit } from './table.ts';
import { accessFlags, outputFlag } from './access.ts';

export const localPoolsCommand = command({
  name: 'local pools',
  summary: 'Propose a first AddressPool for the network of the nodes, with the reasons; apply nothing',
  description:
    'Looks at the own addresses of the nodes, at what is in use already (nodes, gateways, other pools, addresses of ' +
    'Services), at what routers usually hand out by DHCP, and, where this machine is in the network of the nodes, at ' +
    'who answers on the link: each address that comes into question is sent one empty datagram, which makes the kernel ' +
    'ask for its neighbour. It needs no root.\n\n' +
    'What it prints is YAML with the reasons as comments. Nothing is applied and nothing is ever chosen by itself: a ' +
    'person who knows the network reads it, and applies it. An agent asks the link once more before an address is ' +
    'given out.\n\n' +
    'Exit code: 0 proposed, 1 there is nothing to propose, or any problem.',
  words: '',
  wordCount: [0, 0],
  flags: {
    propose: { kind: 'boolean', help: 'Propose pools' },
    size: { kind: 'integer', default: 16, min: 1, max: 128, help: 'How many addresses of each family' },
    network: {
      kind: 'list',
      value: 'CIDR',
      help: 'The network of the nodes, where this machine is not in it and its length is not the usual /24 or /64',
    },
    'no-ask': { kind: 'boolean', help: 'Send nothing on the link' },
    file: {
      kind: 'list',
      value: 'PATH',
      short: 'f',
      help: 'Nodes, Services and AddressPools from files instead of from the cluster',
    },
    output: outputFlag,
    ...accessFlags,
  },
  examples: [
    { line: 'sluice local pools --propose', does: 'run it on a machine in the network of the nodes' },
    { line: 'sluice local pools --propose --size 32 --no-ask', does: 'more addresses, and nobody is asked' },
    {
      line: 'kubectl get nodes,svc -A -o yaml | sluice local pools --propose -f - --network 192.168.0.0/22',
      does: 'without access to the cluster',
    },
  ],
  run: async ({ flags, shell }) => {
    if (!flags.propose) {
      shell.err('sluice: say --propose; the pools that there are: kubectl get addresspools\n');
      return exit.usage;
    }
    const { proposePools } = await import('./local-pools-propose.ts');
    return await proposePools(flags, shell);
  },
});
