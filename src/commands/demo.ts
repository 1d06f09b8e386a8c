/** `sluice demo`: the whole story on a real API server and a simulated cloud, each step checked as it is told. */
import { systemClock } from '../core/clock.ts';
import type { Narrator } from '../sandbox/demo/stage.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { paint, type Shell } from './shell.ts';
import { command, exit } from './table.ts';

export const demoCommand = command({
  name: 'demo',
  summary: 'Show it all on this machine: a real API server, a simulated cloud account, the controller',
  description:
    'Brings up etcd and kube-apiserver, a simulated AWS account that speaks the real wire protocol, and the controller ' +
    'as its own process; applies a few Services, scales nodes, makes mistakes and shows what the user is told; deletes ' +
    'everything and shows that nothing is left. No root, no cloud, no cluster needed. The first run builds the API ' +
    'server with Go, which takes some minutes.\n\n' +
    'On a terminal it stays up until Ctrl-C and prints the KUBECONFIG to play with. With --once, or without a terminal, ' +
    'it cleans up and ends; the exit code says whether all of the story held.',
  words: '',
  wordCount: [0, 0],
  flags: {
    once: { kind: 'boolean', help: 'Clean up and end after the story, on a terminal too' },
    provider: { kind: 'choice', choices: ['aws', 'alibaba'], default: 'aws', help: 'Whose story' },
  },
  examples: [
    { line: 'npm run demo', does: 'the story, then a cluster to play with' },
    { line: 'npm run demo -- --provider alibaba', does: 'the story on Alibaba Cloud' },
    { line: 'npm run demo -- --once', does: 'the story alone, as a check' },
  ],
  run: async ({ flags, shell }) => {
    const stop = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.once(name, () => stop.abort(new Error(`ended by ${name}`)));
    const narrator = narratorFor(shell);
    // Loaded only here: what runs in a cluster never carries the sandbox.
    const { packageRoot, startSandbox } = await import('../sandbox/sandbox.ts');
    const { tellAlibabaStory } = await import('../sandbox/demo/alibaba.ts');
    const { tellAwsStory } = await import('../sandbox/demo/aws.ts');
    const onAlibaba = flags.provider === 'alibaba';
    const started = systemClock.now();
    let sandbox: Sandbox | undefined;
    try {
      narrator.chapter('A control plane, a cloud and a controller');
      sandbox = await startSandbox({
        aws: { delays: { provisioningMs: 300, registrationMs: 100, initialCheckMs: 100 } },
        awsSettings: { rates: { read: 1_000, register: 1_000, modify: 1_000 } },
        ...(onAlibaba ? { alibaba: { delays: { startingMs: 300, firstCheckMs: 100 } } } : {}),
        progress: (message) => narrator.line(message),
        signal: stop.signal,
      });
      narrator.good(`kube-apiserver at ${sandbox.controlPlane.url}`);
      const { alibaba } = sandbox;
      narrator.good(
        alibaba === undefined
          ? `simulated AWS account at ${sandbox.aws.url}`
          : `simulated Alibaba Cloud account at ${alibaba.url}`,
      );
      narrator.good('controller under its own ServiceAccount and Role');
      const { api, aws } = sandbox;
      if (alibaba === undefined) {
        await tellAwsStory({
          api,
          cloud: aws.control,
          narrator,
          examples: new URL('examples/', packageRoot),
          signal: stop.signal,
        });
      } else {
        await tellAlibabaStory({ api, cloud: alibaba.control, narrator, signal: stop.signal });
      }
      narrator.line('');
      narrator.good(`The whole story held, in ${((systemClock.now() - started) / 1000).toFixed(0)} s.`);
      if (shell.interactive && !flags.once) await playground(sandbox, shell, stop.signal);
      return exit.ok;
    } catch (error) {
      if (stop.signal.aborted) return shell.interactive ? exit.ok : exit.problem;
      shell.err(
        `\n${paint(shell, 'red', 'The story broke off:')} ${error instanceof Error ? error.message : String(error)}\n`,
      );
      await lastWords(sandbox, shell);
      return exit.problem;
    } finally {
      await sandbox?.stop();
    }
  },
});

/** What the controller said last, for whoever has to find out why. */
async function lastWords(sandbox: Sandbox | undefined, shell: Shell): Promise<void> {
  for (const controller of sandbox?.controllers ?? []) {
    const lines = (await controller.process.tail(20)).trimEnd().split('\n');
    shell.err(`Last lines of ${controller.process.name}:\n  ${lines.join('\n  ')}\n`);
  }
}

async function playground(sandbox: Sandbox, shell: Shell, signal: AbortSignal): Promise<void> {
  shell.out(
    `\nThe cluster stays up until Ctrl-C. To play with it:\n\n` +
      `  export KUBECONFIG=${sandbox.kubeconfig}\n` +
      `  kubectl apply -f examples/web.yaml && kubectl get services\n` +
      `  npx sluice explain svc/web\n` +
      `  npx sluice plan --config ${sandbox.settings}\n` +
      `  curl -s ${sandbox.alibaba?.url ?? sandbox.aws.url}/_sluice/dump\n\n`,
  );
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  shell.out('\nCleaning up.\n');
}

function narratorFor(shell: Shell): Narrator {
  return {
    chapter: (title) => shell.out(`\n${paint(shell, 'bold', title)}\n`),
    line: (text) => shell.out(`  ${text}\n`),
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
