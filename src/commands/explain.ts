/** `sluice explain`: where a Service stands, or where a packet goes, each in a file of its own. */
import { explainFlags } from './explain-flags.ts';
import { paint } from './shell.ts';
import { command, exit } from './table.ts';

export const explainCommand = command({
  name: 'explain',
  summary: 'Say where a Service stands and the cure, or where a packet goes and why',
  description:
    'Reads the Service, its endpoints and its events, checks its annotations afresh, and says the first thing that ' +
    'stands in the way. It needs no more than the rights of an ordinary user of the namespace and changes nothing.\n\n' +
    'With --config it knows the settings of the controller (classes, default provider), and where there are cloud ' +
    'credentials too it adds a fresh plan: what the controller would do now. Without, the usual settings are assumed.\n\n' +
    'Exit code: 0 where all is well, 1 where something stands in the way.\n\n' +
    'With --from and --to it answers for the node agent: which Service port a packet hits on a node, by which clause, which endpoints it may go to and why each other one was left out, whether its source is kept, and the rules or map elements that serve it. ' +
    'The very code of the agent decides, so give it the flags of the agent (--scope, --cluster-cidr …) where they are not the usual ones. It works from a cluster, from files (-f), and on the node itself --trace holds it against one real packet. Exit code: 0 with an answer, whatever it is, 1 where there is none or --trace sees the kernel do something else.',
  words: '[svc/NAME]',
  wordCount: [0, 1],
  flags: explainFlags,
  examples: [
    { line: 'sluice explain svc/web', does: 'why is there no EXTERNAL-IP?' },
    { line: 'sluice explain svc/web -n shop -o json', does: 'the same for a script' },
    {
      line: 'sluice explain --from pod/cart-1 --to svc/web:80',
      does: 'which pods may get it, and why not the others',
    },
    {
      line: 'sluice explain --from 198.51.100.7 --to 10.0.0.1:30080/tcp --scope all',
      does: 'a client from outside at a node port',
    },
    {
      line: 'sluice explain -f manifests/ --node node-1 --from node --to 10.96.0.10:53/udp',
      does: 'the same without a cluster',
    },
    { line: 'sudo sluice explain --from node --to svc/web:80 --trace', does: 'and what a real packet meets' },
  ],
  run: async ({ flags, words, shell }) => {
    const packet = flags.from !== undefined || flags.to !== undefined;
    if (packet === words.length > 0) {
      const mistake = packet
        ? `"${words.join(' ')}" is too much: --from and --to ask about a packet, svc/NAME about a Service; ask one of them`
        : 'explain needs svc/NAME, or --from WHO --to WHAT';
      shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\nSee \`sluice explain --help\`.\n`);
      return exit.usage;
    }
    if (packet) {
      const { explainPacket } = await import('./explain-packet.ts');
      return await explainPacket(flags, shell);
    }
    const { explainService } = await import('./explain-service.ts');
    return await explainService(flags, words, shell);
  },
});
