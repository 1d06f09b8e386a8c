/** `sluice demo`: a whole story on a real API server, each step checked as it is told. */
import { systemClock } from '../core/clock.ts';
import type { Narrator } from '../sandbox/demo/stage.ts';
import type { Story } from '../sandbox/demo/stories.ts';
import { paint, type Shell } from './shell.ts';
import { command, exit } from './table.ts';

export const demoCommand = command({
  name: 'demo',
  summary: 'Show it all on this machine: a real API server, and nodes, a laptop or a simulated cloud',
  description:
    'As root it builds three nodes with pods and an outside client in network namespaces, starts etcd, kube-apiserver, ' +
    'the controller and an agent on each node, gives a Service an address from a pool and asks it from outside; then it ' +
    'pulls the cable of the node that answers while requests run, and tells the gap in milliseconds. Nothing of the ' +
    "machine's own network is touched.\n\n" +
    'Without root (or with --laptop) it tells the story of `sluice local`: addresses on this machine for a cluster in ' +
    'which nothing is installed.\n\n' +
    'With --provider aws or alibaba it tells the story of a cloud: a simulated account that speaks the real wire ' +
    'protocol, whose balancers carry real connections to node ports.\n\n' +
    'The first run builds the API server with Go, which takes some minutes. On a terminal it stays up until Ctrl-C and ' +
    'prints the KUBECONFIG to play with. With --once, or without a terminal, it cleans up and ends; the exit code says ' +
    'whether all of the story held.',
  words: '',
  wordCount: [0, 0],
  flags: {
    once: { kind: 'boolean', help: 'Clean up and end after the story, on a terminal too' },
    provider: {
      kind: 'choice',
      choices: ['local', 'aws', 'alibaba'],
      default: 'local',
      help: 'Whose story',
    },
    laptop: { kind: 'boolean', help: 'The story without root, also for root' },
  },
  examples: [
    { line: 'sudo npm run demo', does: 'three nodes, real packets, a takeover' },
    { line: 'npm run demo', does: 'without root: addresses on this machine' },
    { line: 'npm run demo -- --provider aws', does: 'the story of a cloud' },
    { line: 'npm run demo -- --once', does: 'the story alone, as a check' },
  ],
  run: async ({ flags, shell }) => {
    if (flags.laptop && flags.provider !== 'local') {
      shell.err(`sluice: --laptop goes with --provider local, not with ${flags.provider}\n`);
      return exit.usage;
    }
    const stop = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.on(name, () => stop.abort(new Error(`ended by ${name}`)));
    const narrator = narratorFor(shell);
    let broken: string | undefined;
    const options = {
      narrator,
      signal: stop.signal,
      onUnexpectedEnd: (message: string) => {
        broken ??= message;
        stop.abort(new Error(message));
      },
    };
    // Loaded only here: what runs in a cluster never carries the sandbox.
    const { cloudStory, localStory } = await import('../sandbox/demo/stories.ts');
    const started = systemClock.now();
    let story: Story | undefined;
    try {
      story =
        flags.provider === 'local'
          ? await localStory(flags.laptop, options)
          : await cloudStory(flags.provider, options);
      stop.signal.throwIfAborted();
      await story.tell();
      narrator.line('');
      narrator.good(`The whole story held, in ${((systemClock.now() - started) / 1000).toFixed(0)} s.`);
      if (shell.interactive && !flags.once) await playground(story, shell, stop.signal);
      if (broken !== undefined) throw new Error(broken);
      return exit.ok;
    } catch (error) {
      if (stop.signal.aborted && broken === undefined) return shell.interactive ? exit.ok : exit.problem;
      const why = broken ?? (error instanceof Error ? error.message : String(error));
      shell.err(`\n${paint(shell, 'red', 'The story broke off:')} ${why}\n`);
      await lastWords(story, shell);
      return exit.problem;
    } finally {
      await story?.stop();
    }
  },
});

/** What the long-running parts said last, for whoever has to find out why. */
async function lastWords(story: Story | undefined, shell: Shell): Promise<void> {
  for (const child of story?.processes() ?? []) {
    const lines = (await child.tail(20)).trimEnd().split('\n');
    shell.err(`Last lines of ${child.name}:\n  ${lines.join('\n  ')}\n`);
  }
}

async function playground({ playground: lines }: Story, shell: Shell, signal: AbortSignal): Promise<void> {
  shell.out(`\nThe cluster stays up until Ctrl-C. To play with it:\n\n`);
  for (const line of lines) shell.out(`  ${line}\n`);
  shell.out('\n');
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  shell.out('\nCleaning up.\n');
}

function narratorFor(shell: Shell): Narrator {
  return {
    chapter: (title) => shell.out(`\n${paint(shell, 'bold', title)}\n`),
    line: (text) => shell.out(`${`  ${text}`.trimEnd()}\n`),
    good: (text) => shell.out(`  ${paint(shell, 'green', '✓')} ${text}\n`),
    table: (rows) => {
      const widths = (rows[0] ?? []).map((_, column) =>
        Math.max(...rows.map((row) => (row[column] ?? '').length)),
      );
      for (const [index, row] of rows.entries()) {
        const text = row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('   ')
          .trimEnd();
        shell.out(`  ${index === 0 ? paint(shell, 'dim', text) : text}\n`);
      }
    },
  };
}
