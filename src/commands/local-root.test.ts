import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { carryOut, neededSteps, readJournal, undo, undoPlan, type RunTool } from './local-root.ts';

/** A machine that knows one sysctl and local routes. */
function aMachine(portStart = '1024') {
  const state = { portStart, routes: new Set<string>(), failing: '' };
  const writes: string[] = [];
  const run: RunTool = (program, args, asRoot) => {
    const line = [program, ...args].join(' ');
    const answer = (code: number, out = '', err = '') => Promise.resolve({ code, out, err });
    if (asRoot) writes.push(line);
    if (state.failing !== '' && line.includes(state.failing)) return answer(1, '', 'not permitted');
    if (line.startsWith('sysctl -n')) return answer(0, `${state.portStart}\n`);
    const set = /^sysctl -w \S+=(\d+)$/u.exec(line);
    if (set?.[1] !== undefined) {
      state.portStart = set[1];
      return answer(0);
    }
    const route = /^ip -4 route (add|del) local (\S+) dev lo$/u.exec(line);
    if (route?.[2] !== undefined) {
      if (route[1] === 'add') state.routes.add(route[2]);
      else state.routes.delete(route[2]);
      return answer(0);
    }
    const cidr = args.at(-1) ?? '';
    return answer(0, state.routes.has(cidr) ? `local ${cidr} dev lo scope host\n` : '');
  };
  return { state, writes, run };
}

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-root-'));
  path = join(folder, 'deep', 'journal.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const wish = { portsFrom: 0, pool: '10.240.0.0/24' };

describe('setup', () => {
  test('does both steps, and a second one has nothing to do', async () => {
    const { state, run } = aMachine();
    await carryOut(run, path, 'boot', await neededSteps(run, wish));
    expect(state).toMatchObject({ portStart: '0', routes: new Set(['10.240.0.0/24']) });
    expect(await neededSteps(run, wish)).toEqual([]);
  });

  test('leaves out what is so already: it is not ours to undo', async () => {
    const { state, run } = aMachine('0');
    state.routes.add('10.240.0.0/24');
    expect(await neededSteps(run, wish)).toEqual([]);
    expect(await undoPlan(run, path, 'boot')).toEqual([]);
  });

  test('writes a step down before it is done', async () => {
    const { state, run } = aMachine();
    state.failing = 'route add';
    await expect(carryOut(run, path, 'boot', await neededSteps(run, wish))).rejects.toThrow('not permitted');
    expect((await readJournal(path))?.steps.map(({ kind }) => kind)).toEqual(['sysctl', 'route']);
    state.failing = '';
    const plan = await undoPlan(run, path, 'boot');
    expect(plan.map(({ outcome }) => outcome)).toEqual(['gone', 'undone']);
    await undo(run, path, 'boot', plan);
    expect(state.portStart).toBe('1024');
    expect(await readJournal(path)).toBeUndefined();
  });
});

test('a step that failed and was done later is undone once', async () => {
  const { state, writes, run } = aMachine();
  state.failing = 'route add';
  await expect(carryOut(run, path, 'boot', await neededSteps(run, wish))).rejects.toThrow('not permitted');
  state.failing = '';
  await carryOut(run, path, 'boot', await neededSteps(run, wish));
  writes.length = 0;
  await undo(run, path, 'boot', await undoPlan(run, path, 'boot'));
  expect(writes).toEqual([
    'ip -4 route del local 10.240.0.0/24 dev lo',
    'sysctl -w net.ipv4.ip_unprivileged_port_start=1024',
  ]);
});

test('set up twice with another bound: both are undone, back to what was so at first', async () => {
  const { state, run } = aMachine();
  for (const portsFrom of [80, 0])
    await carryOut(run, path, 'boot', await neededSteps(run, { portsFrom, pool: undefined }));
  const plan = await undoPlan(run, path, 'boot');
  expect(plan.map(({ outcome }) => outcome)).toEqual(['undone', 'undone']);
  await undo(run, path, 'boot', plan);
  expect(state.portStart).toBe('1024');
});

describe('teardown', () => {
  test('undoes exactly what was done, the last first', async () => {
    const { state, writes, run } = aMachine('1000');
    await carryOut(run, path, 'boot', await neededSteps(run, wish));
    writes.length = 0;
    await undo(run, path, 'boot', await undoPlan(run, path, 'boot'));
    expect(writes).toEqual([
      'ip -4 route del local 10.240.0.0/24 dev lo',
      'sysctl -w net.ipv4.ip_unprivileged_port_start=1000',
    ]);
    expect(state.routes.size).toBe(0);
  });

  test('goes on where a crash ended it', async () => {
    const { state, run } = aMachine();
    await carryOut(run, path, 'boot', await neededSteps(run, wish));
    state.failing = 'sysctl -w';
    await expect(undo(run, path, 'boot', await undoPlan(run, path, 'boot'))).rejects.toThrow('not permitted');
    expect((await readJournal(path))?.steps.map(({ kind }) => kind)).toEqual(['sysctl']);
    state.failing = '';
    await undo(run, path, 'boot', await undoPlan(run, path, 'boot'));
    expect(state.portStart).toBe('1024');
  });

  test('leaves alone what somebody set differently since', async () => {
    const { state, writes, run } = aMachine();
    await carryOut(run, path, 'boot', await neededSteps(run, { ...wish, pool: undefined }));
    state.portStart = '80';
    writes.length = 0;
    const plan = await undoPlan(run, path, 'boot');
    expect(plan.map(({ outcome }) => outcome)).toEqual(['changed']);
    await undo(run, path, 'boot', plan);
    expect(writes).toEqual([]);
  });

  test('touches nothing after a reboot', async () => {
    const { writes, run } = aMachine();
    await carryOut(run, path, 'boot', await neededSteps(run, wish));
    writes.length = 0;
    await undo(run, path, 'another', await undoPlan(run, path, 'another'));
    expect(writes).toEqual([]);
    expect(await readJournal(path)).toBeUndefined();
  });

  test('a journal that holds other words than ours is refused, and kept', async () => {
    const { run } = aMachine();
    await carryOut(run, path, 'boot', await neededSteps(run, wish));
    const bad = (await readFile(path, 'utf8')).replace('10.240.0.0/24', '10.0.0.0/8; reboot');
    await writeFile(path, bad);
    await expect(undoPlan(run, path, 'boot')).rejects.toMatchObject({ code: 'BadJournal' });
    expect(await readFile(path, 'utf8')).toBe(bad);
  });
});
