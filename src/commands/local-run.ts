/** `sluice local`: addresses for the Services of any cluster, on this machine, without root. */
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { sleep, systemClock } from '../core/clock.ts';
import { parseCidr } from '../core/cidr.ts';
import { asSluiceError, isSluiceError, SluiceError } from '../core/errors.ts';
import type { Api } from '../kube/api.ts';
import { readClusterId } from '../kube/writer.ts';
import { defaultSpace } from '../../providers/local/laptop/space.ts';
import { fileTable } from '../../providers/local/laptop/table.ts';
import type { LaptopConfig } from '../../providers/local/laptop/wanted.ts';
import { connectBy } from './access.ts';
import { machineName } from './local-elsewhere.ts';
import { forwardDoor } from './local-forward.ts';
import { takeLock, type Lock } from './local-lock.ts';
import { lookAtMachine, networkMark, stateFolder } from './local-machine.ts';
import { LocalMode } from './local-serve.ts';
import { screenFor } from './local-screen.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';
import type { LocalInput } from './local.ts';

/** How often we look whether the machine slept or changed its network, in milliseconds. */
const wakeEveryMs = 3_000;
/** A pause of the process that is longer than this was sleep. */
const sleptMs = 15_000;
const standByMs = 1_000;

/** @returns the exit code. */
export async function runLocal({ flags, shell }: LocalInput): Promise<number> {
  // A young generation that does not grow: a fifth less memory, for collections that are small anyway.
  setFlagsFromString('--semi-space-growth-factor=1');
  const pool = parseCidr(flags.pool ?? defaultSpace);
  if (pool.kind === 'malformed' || pool.cidr.family !== 'IPv4') {
    const why =
      pool.kind === 'malformed' ? pool.message : `${flags.pool ?? defaultSpace} is not an IPv4 range`;
    shell.err(`${paint(shell, 'red', 'sluice:')} --pool: ${why}\n`);
    return exit.usage;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => stop.abort(new Error(name)));
  const clock = systemClock;
  const api = await connectBy(flags, { clock, random: Math.random });
  const screen = screenFor(shell, flags.output === 'json' ? 'json' : 'text');
  let lock: Lock | undefined;
  let left: readonly string[] = [];
  try {
    const id = await readClusterId(api);
    const cluster = { name: flags.context ?? id, id };
    if (!flags.force && !flags.release) await refuseOtherLocal(api);
    const folder = stateFolder(shell.env);
    lock = await lockFor(join(folder, `local-${id}.lock`), shell, stop.signal);
    const facts = await lookAtMachine();
    const config: LaptopConfig = { ...facts, space: pool.cidr, via: flags.via };
    const mode = new LocalMode({
      api,
      clock,
      random: Math.random,
      cluster,
      machine: await machineName(folder),
      config,
      table: fileTable(join(folder, 'local-addresses.json')),
      classless: flags.classless,
      forward: (door) => forwardDoor(api, door, clock),
      onChange: () => screen.show(() => mode.rows()),
      onTaken: (lines) => {
        for (const one of lines) screen.say(`Taken over: ${one}`);
      },
      onEvent: (service, note) => {
        if (note.type === 'Warning') screen.say(`${service}: ${note.note}`);
      },
      report: (event) => {
        if (event.kind === 'failed') screen.say(`reading ${event.reader} failed: ${event.error.message}`);
      },
    });
    if (flags.release) {
      await mode.look(stop.signal, { takeOver: flags['take-over'] });
      const { others } = mode;
      if (others > 0)
        shell.err(
          `Left alone: ${others === 1 ? '1 Service' : `${others} Services`} that \`sluice local\` on another machine serves. \`sluice local --release --take-over\` releases these too.\n`,
        );
      return tellLeft(shell, await mode.stop({ keep: false }));
    }
    screen.head(`Serving ${api.source}; Ctrl-C ends it.`);
    let served = false;
    try {
      await mode.start(stop.signal, { takeOver: flags['take-over'] });
      served = true;
      await watchWakes(mode, stop.signal);
    } finally {
      screen.end();
      const keep = flags.keep || !served;
      if (served)
        shell.err(keep ? 'Ending; the Services keep their addresses.\n' : 'Taking our mark off …\n');
      left = await mode.stop({ keep });
    }
    return tellLeft(shell, left);
  } catch (thrown) {
    screen.end();
    if (stop.signal.aborted) return exit.ok;
    throw asSluiceError(thrown);
  } finally {
    await lock?.release();
    await api.close();
  }
}

/** Local mode proper, with pools and agents, serves the same class: two would write in turn. */
async function refuseOtherLocal(api: Api): Promise<void> {
  try {
    await api.request('GET', '/apis/sluice.dev/v1alpha1/addresspools', { query: { limit: 1 } });
  } catch (error) {
    if (isSluiceError(error)) return;
    throw error;
  }
  throw new SluiceError(
    'conflict',
    'this cluster has address pools of its own (AddressPool), so its controller serves class sluice.dev/local; ' +
      'use the addresses that it gives, or say --force',
    { code: 'ServedInCluster' },
  );
}

async function lockFor(path: string, shell: Shell, signal: AbortSignal): Promise<Lock> {
  let told = false;
  for (;;) {
    const lock = await takeLock(path);
    if (!('heldBy' in lock)) return lock;
    if (!told)
      shell.err(
        `Process ${lock.heldBy} serves this cluster already; standing by, to take over when it ends.\n`,
      );
    told = true;
    await sleep(systemClock, standByMs, signal);
  }
}

/** Resolves when the signal fires. Sleep shows itself as wall time that went by without us. */
async function watchWakes(mode: LocalMode, signal: AbortSignal): Promise<void> {
  let wall = systemClock.wall();
  let network = networkMark();
  while (!signal.aborted) {
    await sleep(systemClock, wakeEveryMs, signal).catch(() => undefined);
    const now = { wall: systemClock.wall(), network: networkMark() };
    if (now.wall - wall > wakeEveryMs + sleptMs || now.network !== network) mode.woke();
    ({ wall, network } = now);
  }
}

function tellLeft(shell: Shell, left: readonly string[]): number {
  for (const line of left) shell.err(`${paint(shell, 'red', 'sluice:')} our mark stays on ${line}\n`);
  if (left.length > 0) shell.err('`sluice local --release` tries again.\n');
  return left.length === 0 ? exit.ok : exit.problem;
}
