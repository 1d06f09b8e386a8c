/** The once-only root steps of laptop mode: shown, agreed to, undone. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contains, parseAddress, parseCidr } from '../core/cidr.ts';
import { agreed } from './consent.ts';
import { stateFolder } from './local-machine.ts';
import {
  carryOut,
  doing,
  meaning,
  neededSteps,
  undo,
  undoing,
  undoPlan,
  type RunTool,
} from './local-root.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import type { SetupFlags, TeardownFlags } from './local-setup.ts';

/** @returns the exit code. */
export async function setUp(flags: SetupFlags, shell: Shell): Promise<number> {
  if (process.platform !== 'linux') return nothingHere(shell);
  const pool = poolOf(flags.pool);
  if (pool !== undefined && 'wrong' in pool) {
    shell.err(`${paint(shell, 'red', 'sluice:')} --pool: ${pool.wrong}\n`);
    return exit.usage;
  }
  const steps = await neededSteps(runTool, { portsFrom: flags['ports-from'], pool: pool?.cidr });
  if (steps.length === 0) {
    shell.out('Nothing is left to do.\n');
    return exit.ok;
  }
  for (const step of steps) shell.out(`  ${asRootText(doing(step))}\n      ${meaning(step)}\n`);
  if (flags['dry-run']) return exit.ok;
  if (!flags.yes && !(await agreed(shell))) return exit.problem;
  await orSay(
    shell,
    'Not all was done. Run it again to go on, or `sluice local teardown` to take back what was.',
    carryOut(runTool, journalPath(shell), await bootId(), steps),
  );
  shell.out('Done; `sluice local teardown` undoes it.\n');
  return exit.ok;
}

/** @returns the exit code. */
export async function tearDown(flags: TeardownFlags, shell: Shell): Promise<number> {
  if (process.platform !== 'linux') return nothingHere(shell);
  const boot = await bootId();
  const path = journalPath(shell);
  const plan = await undoPlan(runTool, path, boot);
  if (plan.length === 0) {
    shell.out(
      `Nothing was set up: there is no journal ${path}. What another user set up, root by sudo for one, that user takes back.\n`,
    );
    return exit.ok;
  }
  for (const { step, outcome } of plan) {
    const line = asRootText(undoing(step));
    if (outcome === 'undone') shell.out(`  ${line}\n`);
    else
      shell.out(
        `  (left: ${outcome === 'gone' ? 'nothing of it is there any more' : 'somebody changed it since'}) ${line}\n`,
      );
  }
  if (flags['dry-run']) return exit.ok;
  const works = plan.some(({ outcome }) => outcome === 'undone');
  if (works && !flags.yes && !(await agreed(shell))) return exit.problem;
  await orSay(
    shell,
    'Not all was undone. Run it again: it goes on with the rest.',
    undo(runTool, path, boot, plan),
  );
  shell.out('Done.\n');
  return exit.ok;
}

/** What stands when a step fails is said before the reason is. */
async function orSay(shell: Shell, text: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    shell.err(`${text}\n`);
    throw error;
  }
}

function nothingHere(shell: Shell): number {
  shell.out(
    process.platform === 'win32'
      ? 'Windows needs no set-up: every port of every address of 127.0.0.0/8 may be opened.\n'
      : `There is no set-up for ${process.platform}: Services share 127.0.0.1, with stated ports where needed.\n`,
  );
  return exit.ok;
}

function poolOf(
  text: string | undefined,
): { readonly cidr: string } | { readonly wrong: string } | undefined {
  if (text === undefined) return undefined;
  const parsed = parseCidr(text);
  if (parsed.kind === 'malformed') return { wrong: parsed.message };
  const { cidr } = parsed;
  if (cidr.family !== 'IPv4') return { wrong: `${text} is not an IPv4 range` };
  if (cidr.prefix < 12) return { wrong: `${text} is wider than a /12: traffic to others would end here` };
  const home = parseAddress('127.0.0.1');
  const loopback = parseCidr('127.0.0.0/8');
  if (
    (home !== undefined && contains(cidr, home)) ||
    (loopback.kind === 'cidr' && contains(loopback.cidr, { family: 'IPv4', value: cidr.base }))
  )
    return { wrong: `${text} needs no set-up: all of 127.0.0.0/8 is this machine's` };
  return { cidr: cidr.text };
}

function journalPath({ env }: Shell): string {
  return join(stateFolder(env), 'local-setup.json');
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

function needsSudo(): boolean {
  return process.getuid?.() !== 0;
}

function asRootText(line: readonly string[]): string {
  return [...(needsSudo() ? ['sudo'] : []), ...line].join(' ');
}

const runTool: RunTool = (program, args, asRoot) =>
  new Promise((resolve) => {
    const [name, ...rest] = asRoot && needsSudo() ? ['sudo', program, ...args] : [program, ...args];
    const child = spawn(name, rest, { stdio: ['inherit', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      err += data.toString();
    });
    child.once('error', (error) =>
      resolve({ code: 127, out, err: `${name} cannot be run: ${error.message}` }),
    );
    child.once('close', (code) => resolve({ code: code ?? 1, out, err }));
  });
