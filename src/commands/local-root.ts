/**
 * The once-only steps of laptop mode that need root, each with its undoing, and the journal that lets `teardown` undo
 * exactly those, also after a crash.
 *
 * Invariants: a step is in the journal before it is done; what was so before us never gets into it; what somebody
 * changed after us is left alone. What a reboot took away by itself is not undone.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SluiceError } from '../core/errors.ts';

export type RootStep =
  | { readonly kind: 'sysctl'; readonly key: string; readonly before: string; readonly after: string }
  | { readonly kind: 'route'; readonly cidr: string };

export interface Journal {
  /** Which boot the steps were done in. */
  readonly boot: string;
  readonly steps: readonly RootStep[];
}

/** Runs a program; `asRoot` where it changes something. */
export type RunTool = (
  program: string,
  args: readonly string[],
  asRoot: boolean,
) => Promise<{ readonly code: number; readonly out: string; readonly err: string }>;

export const portsKey = 'net.ipv4.ip_unprivileged_port_start';

/** What is left to do so that ports from `portsFrom` may be opened, and every address of `pool` be listened on. */
export async function neededSteps(
  run: RunTool,
  wish: { readonly portsFrom: number; readonly pool: string | undefined },
): Promise<readonly RootStep[]> {
  const steps: RootStep[] = [];
  const before = await readSysctl(run, portsKey);
  if (Number(before) > wish.portsFrom)
    steps.push({ kind: 'sysctl', key: portsKey, before, after: String(wish.portsFrom) });
  if (wish.pool !== undefined && !(await hasRoute(run, wish.pool)))
    steps.push({ kind: 'route', cidr: wish.pool });
  return steps;
}

/** The command line that does a step. */
export function doing(step: RootStep): readonly [program: string, ...args: string[]] {
  return step.kind === 'sysctl'
    ? ['sysctl', '-w', `${step.key}=${step.after}`]
    : ['ip', '-4', 'route', 'add', 'local', step.cidr, 'dev', 'lo'];
}

/** The command line that takes it back. */
export function undoing(step: RootStep): readonly [program: string, ...args: string[]] {
  return step.kind === 'sysctl'
    ? ['sysctl', '-w', `${step.key}=${step.before}`]
    : ['ip', '-4', 'route', 'del', 'local', step.cidr, 'dev', 'lo'];
}

/** For people: what it is good for. */
export function meaning(step: RootStep): string {
  return step.kind === 'sysctl'
    ? `lets every user of this machine open ports from ${step.after} (now from ${step.before})`
    : `lets every program listen on each address of ${step.cidr}`;
}

/** Does the steps, each in the journal first. Stops at the first that fails. */
export async function carryOut(
  run: RunTool,
  path: string,
  boot: string,
  steps: readonly RootStep[],
): Promise<void> {
  for (const step of steps) {
    const journal = await readJournal(path);
    const earlier = journal === undefined || journal.boot !== boot ? [] : journal.steps;
    // One that failed before stands there already: twice it would be undone twice.
    const known = earlier.some((one) => JSON.stringify(one) === JSON.stringify(step));
    await writeJournal(path, { boot, steps: known ? earlier : [...earlier, step] });
    await must(run, doing(step));
  }
}

export interface Undone {
  readonly step: RootStep;
  readonly outcome: 'undone' | 'gone' | 'changed';
}

/**
 * What undoing the journal would do, the last step first: `gone` where nothing of it is left, `changed` where
 * somebody set something else since.
 */
export async function undoPlan(run: RunTool, path: string, boot: string): Promise<readonly Undone[]> {
  const journal = await readJournal(path);
  const plan: Undone[] = [];
  /** What stands once the later steps are undone. */
  const values = new Map<string, string>();
  for (const step of (journal?.steps ?? []).toReversed()) {
    if (journal?.boot !== boot) {
      plan.push({ step, outcome: 'gone' });
    } else if (step.kind === 'route') {
      plan.push({ step, outcome: (await hasRoute(run, step.cidr)) ? 'undone' : 'gone' });
    } else {
      const now = values.get(step.key) ?? (await readSysctl(run, step.key));
      const outcome = now === step.after ? 'undone' : now === step.before ? 'gone' : 'changed';
      values.set(step.key, outcome === 'undone' ? step.before : now);
      plan.push({ step, outcome });
    }
  }
  return plan;
}

/** Carries an undo plan out, and takes each step out of the journal when it is done. */
export async function undo(run: RunTool, path: string, boot: string, plan: readonly Undone[]): Promise<void> {
  const left = plan.map(({ step }) => step).toReversed();
  for (const { step, outcome } of plan) {
    if (outcome === 'undone') await must(run, undoing(step));
    left.splice(left.indexOf(step), 1);
    await writeJournal(path, { boot, steps: left });
  }
  await rm(path, { force: true });
}

/** Undefined: there is none. One that cannot be understood throws: it may hold what must be undone. */
export async function readJournal(path: string): Promise<Journal | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, 'read', error);
  }
  try {
    const read = JSON.parse(text) as Partial<Journal>;
    if (typeof read.boot === 'string' && Array.isArray(read.steps) && read.steps.every(isStep))
      return { boot: read.boot, steps: read.steps };
  } catch {
    // Told below.
  }
  throw new SluiceError(
    'invalid',
    `${path} cannot be understood as the journal of \`sluice local setup\`, so nothing is done on its word; ` +
      'look at it, put back by hand what it names (`sysctl net.ipv4.ip_unprivileged_port_start` is 1024 by default, ' +
      '`ip -4 route show table local` lists the ranges), and remove the file',
    {
      code: 'BadJournal',
    },
  );
}

/** These words become arguments of programs that run as root: nothing else is let through. */
function isStep(value: unknown): value is RootStep {
  if (typeof value !== 'object' || value === null) return false;
  const step = value as Readonly<Record<string, unknown>>;
  if (step['kind'] === 'route')
    return typeof step['cidr'] === 'string' && /^[\d.]+\/\d+$/u.test(step['cidr']);
  return (
    step['kind'] === 'sysctl' &&
    step['key'] === portsKey &&
    isNumber(step['before']) &&
    isNumber(step['after'])
  );
}

function isNumber(one: unknown): boolean {
  return typeof one === 'string' && /^\d+$/u.test(one);
}

async function writeJournal(path: string, journal: Journal): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const fresh = `${path}.new`;
    await writeFile(fresh, `${JSON.stringify(journal, undefined, 1)}\n`, { mode: 0o600, flush: true });
    await rename(fresh, path);
  } catch (error) {
    throw unusable(path, 'written', error);
  }
}

function unusable(path: string, what: 'read' | 'written', cause: unknown): SluiceError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `the journal ${path} cannot be ${what} (${why}), and without it no step is done or undone; SLUICE_STATE_DIR names another folder`;
  return new SluiceError('denied', message, { code: 'NoJournal', cause });
}

async function readSysctl(run: RunTool, key: string): Promise<string> {
  return (await must(run, ['sysctl', '-n', key], false)).trim();
}

async function hasRoute(run: RunTool, cidr: string): Promise<boolean> {
  const out = await must(run, ['ip', '-4', 'route', 'show', 'table', 'local', 'exact', cidr], false);
  return /^local .* dev lo\b/mu.test(out);
}

async function must(
  run: RunTool,
  [program = '', ...args]: readonly string[],
  asRoot = true,
): Promise<string> {
  const { code, out, err } = await run(program, args, asRoot);
  if (code === 0) return out;
  const said = err.trim() || `exit code ${code}`;
  throw new SluiceError('denied', `${[program, ...args].join(' ')}: ${said}`, { code: 'ToolFailed' });
}
