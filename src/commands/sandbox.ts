/**
 * `sluice sandbox`: a throw-away API server, simulated clouds and the controller, for people to try things
 * and for their CI to assert what balancers some manifests would make.
 */
import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { paint } from './shell.ts';
import { command, exit } from './table.ts';

/** Names the file in which a running sandbox says how to reach it. */
const stateVariable = 'SLUICE_SANDBOX';

interface SandboxState {
  readonly pid: number;
  readonly kubeconfig: string;
  readonly settings: string;
  readonly aws: string;
  /** Where the sandbox is one on Alibaba Cloud. */
  readonly alibaba?: string;
}

/** Where the sandbox of this user says how to reach it, when no variable names another place. */
function usualStateFile(): string {
  return join(tmpdir(), `sluice-sandbox-${process.getuid?.() ?? 0}.json`);
}

export const sandboxCommand = command({
  name: 'sandbox',
  summary: 'A throw-away cluster with simulated clouds and the controller; run a command in it',
  description:
    'Starts etcd and kube-apiserver (RBAC on), a simulated cloud account and the controller on loopback, in a temporary ' +
    'folder. With -- COMMAND it runs the command with KUBECONFIG set and ends with its exit code; without, it stays ' +
    'until Ctrl-C. If one of its programs ends by itself, it says so and ends with 1.\n\n' +
    'This is the mocked-provider mode for your own CI: apply your manifests with kubectl or Helm, then let ' +
    '`sluice sandbox dump` print what balancers came of them.\n\n' +
    'The binaries are taken from KUBEBUILDER_ASSETS, else from a cache, else built with Go (some minutes, once).',
  words: '[-- COMMAND …]',
  wordCount: [0, 0],
  takesRest: true,
  flags: {
    nodes: {
      kind: 'integer',
      min: 0,
      max: 100,
      default: 3,
      help: 'Nodes of the cluster; nothing runs on them',
    },
    provider: {
      kind: 'choice',
      choices: ['aws', 'alibaba'],
      default: 'aws',
      help: 'Whose cloud is simulated',
    },
    'no-controller': { kind: 'boolean', help: 'Only the API server and the clouds' },
    'provisioning-time': {
      kind: 'duration',
      default: 300,
      help: 'How long a simulated balancer takes to become active',
    },
    latency: { kind: 'duration', default: 0, help: 'Time that each simulated cloud call takes' },
  },
  examples: [
    { line: 'sluice sandbox', does: 'a cluster until Ctrl-C' },
    {
      line: "sluice sandbox -- sh -c 'kubectl apply -f manifests/ && sluice sandbox dump'",
      does: 'what balancers would come of it?',
    },
  ],
  run: async ({ flags, rest, shell }) => {
    const stop = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.on(name, () => stop.abort(new Error(`ended by ${name}`)));
    let broken: string | undefined;
    const fail = (message: string): number => {
      shell.err(`${paint(shell, 'red', 'sluice:')} ${message}\n`);
      return exit.problem;
    };
    // Loaded only here: what runs in a cluster never carries the sandbox.
    const { startSandbox } = await import('../sandbox/sandbox.ts');
    const { alibabaNode, apply, sandboxNode } = await import('../sandbox/objects.ts');
    let sandbox: Sandbox | undefined;
    const stateFile = usualStateFile();
    try {
      sandbox = await startSandbox({
        controllers: flags['no-controller'] ? 0 : 1,
        aws: { delays: { provisioningMs: flags['provisioning-time'] }, latency: { callMs: flags.latency } },
        awsSettings: { rates: { read: 1_000, register: 1_000, modify: 1_000 } },
        ...(flags.provider === 'alibaba'
          ? {
              alibaba: {
                delays: { startingMs: flags['provisioning-time'] },
                latency: { callMs: flags.latency },
              },
            }
          : {}),
        progress: (message) => shell.err(`${message}\n`),
        signal: stop.signal,
        onUnexpectedEnd: (message) => {
          broken ??= `the sandbox broke down: ${message}`;
          stop.abort(new Error(broken));
        },
      });
      for (let index = 1; index <= flags.nodes; index += 1) {
        await apply(sandbox.api, flags.provider === 'alibaba' ? alibabaNode(index) : sandboxNode(index));
      }
      const state: SandboxState = {
        pid: process.pid,
        kubeconfig: sandbox.kubeconfig,
        settings: sandbox.settings,
        aws: sandbox.aws.url,
        ...(sandbox.alibaba === undefined ? {} : { alibaba: sandbox.alibaba.url }),
      };
      await writeFile(stateFile, JSON.stringify(state), { mode: 0o600 });
      if (rest !== undefined) {
        const code = await runIn(rest, sandbox, stateFile, stop.signal);
        return broken === undefined ? code : fail(broken);
      }
      shell.out(
        `export KUBECONFIG=${sandbox.kubeconfig}\n` +
          `# settings of the controller: ${sandbox.settings}\n` +
          `# simulated account:          ${sandbox.alibaba?.url ?? sandbox.aws.url} (dump: npx sluice sandbox dump)\n` +
          `# Ctrl-C ends it and leaves nothing behind\n`,
      );
      await aborted(stop.signal);
      return broken === undefined ? exit.ok : fail(broken);
    } catch (error) {
      if (broken !== undefined) return fail(broken);
      if (stop.signal.aborted) return exit.ok;
      return fail(error instanceof Error ? error.message : String(error));
    } finally {
      await rm(stateFile, { force: true });
      await sandbox?.stop();
    }
  },
});

export const sandboxDumpCommand = command({
  name: 'sandbox dump',
  summary: 'Print the simulated account of the running sandbox and the calls that were made, as JSON',
  description:
    'Prints `{account, calls, counts}`: every balancer, target group, listener, target and tag in the words of the ' +
    "cloud's API, and each recorded call with its input and answer. Run it inside `sluice sandbox -- …`, or beside a " +
    'running `sluice sandbox` of the same user.',
  words: '',
  wordCount: [0, 0],
  flags: {},
  examples: [
    {
      line: "sluice sandbox dump | jq '.account.loadBalancers[].Scheme'",
      does: 'is anything reachable from the internet?',
    },
  ],
  run: async ({ shell }) => {
    const state = await readState(shell.env[stateVariable] ?? usualStateFile());
    if (!state) {
      shell.err(
        `${paint(shell, 'red', 'sluice:')} no sandbox is running here; start one with \`sluice sandbox\`\n`,
      );
      return exit.problem;
    }
    const control = await controlOf(state);
    const [account, { calls, counts }] = await Promise.all([control.dump(), control.calls()]);
    shell.out(`${JSON.stringify({ account, calls, counts }, undefined, 2)}\n`);
    return exit.ok;
  },
});

async function controlOf({ aws, alibaba }: SandboxState) {
  if (alibaba !== undefined) {
    const slb = await import('../../providers/alibaba/simulator/control-client.ts');
    return slb.controlClient(alibaba);
  }
  const elb = await import('../../providers/aws/simulator/control-client.ts');
  return elb.controlClient(aws);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function readState(path: string): Promise<SandboxState | undefined> {
  try {
    const state = JSON.parse(await readFile(path, 'utf8')) as SandboxState;
    process.kill(state.pid, 0);
    return state;
  } catch {
    return undefined;
  }
}

/** Runs the user's command in the sandbox. @returns its exit code; 128 + signal when it was killed, as shells do. */
function runIn(
  rest: readonly string[],
  sandbox: Sandbox,
  stateFile: string,
  signal: AbortSignal,
): Promise<number> {
  const [program, ...args] = rest;
  if (program === undefined) return Promise.resolve(exit.usage);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: 'inherit',
      env: {
        ...process.env,
        KUBECONFIG: sandbox.kubeconfig,
        [stateVariable]: stateFile,
        SLUICE_CONFIG: sandbox.settings,
        AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2: sandbox.aws.url,
        AWS_ACCESS_KEY_ID: 'sandbox',
        AWS_SECRET_ACCESS_KEY: 'sandbox',
        AWS_REGION: 'eu-west-1',
        ALIBABA_CLOUD_ACCESS_KEY_ID: 'sandbox',
        ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'sandbox',
      },
    });
    void aborted(signal).then(() => child.kill('SIGTERM'));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(error.code === 'ENOENT' ? `there is no program called ${program}` : error.message)),
    );
    child.on('exit', (code, killer) =>
      resolve(code ?? 128 + (killer === null ? 0 : constants.signals[killer])),
    );
  });
}
