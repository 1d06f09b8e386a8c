import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { describeExit, Supervisor, type ManagedProcess } from './processes.ts';

async function openSupervisor(): Promise<Supervisor> {
  const supervisor = await Supervisor.open('sluice-test-');
  onTestFinished(() => supervisor.close());
  return supervisor;
}

/** A program made of a line of JavaScript. */
function script(supervisor: Supervisor, name: string, source: string): Promise<ManagedProcess> {
  return supervisor.start({ name, program: process.execPath, args: ['--eval', source] });
}

const forever = 'setInterval(() => {}, 1000)';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 8_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`it never came to be that ${what}`);
    await wait(20);
  }
}

test('a program that ends by itself reports its exit code and leaves its output in its log', async () => {
  const supervisor = await openSupervisor();
  const program = await script(
    supervisor,
    'short',
    'console.log("out"); console.error("err"); process.exit(3)',
  );
  expect(await program.exited).toEqual({ code: 3, signal: undefined });
  expect(program.ended()).toEqual({ code: 3, signal: undefined });
  expect(await program.tail(5)).toBe('out\nerr');
  expect(await program.tail(1)).toBe('err');
});

test('a program that cannot be started is reported by name and path', async () => {
  const supervisor = await openSupervisor();
  const attempt = supervisor.start({ name: 'etcd', program: '/nowhere/etcd', args: [] });
  await expect(attempt).rejects.toMatchObject({
    code: 'CannotStart',
    message: expect.stringMatching(/etcd \(\/nowhere\/etcd\).*ENOENT/),
  });
});

test('stop asks a program to end and lets it finish', async () => {
  const supervisor = await openSupervisor();
  const program = await script(
    supervisor,
    'polite',
    `process.on('SIGTERM', () => process.exit(7)); console.log('up'); ${forever}`,
  );
  await eventually('it is up', async () => (await program.tail(1)) === 'up');
  expect(await program.stop(5_000)).toEqual({ code: 7, signal: undefined });
});

test('stop kills a program that does not end in time', async () => {
  const supervisor = await openSupervisor();
  const program = await script(
    supervisor,
    'stubborn',
    `process.on('SIGTERM', () => {}); console.log('up'); ${forever}`,
  );
  await eventually('it is up', async () => (await program.tail(1)) === 'up');
  expect(await program.stop(100)).toEqual({ code: undefined, signal: 'SIGKILL' });
});

test('a frozen program is thawed to end politely', async () => {
  const supervisor = await openSupervisor();
  const program = await script(supervisor, 'frozen', forever);
  program.signal('SIGSTOP');
  expect(await program.stop(5_000)).toEqual({ code: undefined, signal: 'SIGTERM' });
});

test('close ends all programs and what they started, and removes the folder', async () => {
  const supervisor = await openSupervisor();
  const parent = await script(
    supervisor,
    'parent',
    `console.log(require('node:child_process').spawn(process.execPath, ['--eval', '${forever}']).pid); ${forever}`,
  );
  const other = await script(supervisor, 'other', forever);
  await eventually('the grandchild runs', async () => (await parent.tail(1)) !== '');
  const grandchild = Number(await parent.tail(1));
  expect(isAlive(grandchild)).toBe(true);

  await supervisor.close();
  await eventually('nothing is left', () => ![parent.pid, other.pid, grandchild].some(isAlive));
  expect(existsSync(supervisor.folder)).toBe(false);
  expect(parent.ended()?.signal).toBe('SIGKILL');
  await expect(script(supervisor, 'late', forever)).rejects.toMatchObject({ code: 'SandboxClosed' });
});

test('logs can be kept beyond the folder', async () => {
  const supervisor = await openSupervisor();
  const program = await script(supervisor, 'speaker', 'console.log("last words")');
  await program.exited;
  const kept = await supervisor.keepLogs();
  onTestFinished(() => rm(kept, { recursive: true }));
  await supervisor.close();
  expect(await readFile(`${kept}/speaker.log`, 'utf8')).toBe('last words\n');
});

test('when the watchdog itself is killed, the programs end all the same', async () => {
  const supervisor = await openSupervisor();
  const program = await script(supervisor, 'orphan', 'console.log(process.ppid); ' + forever);
  await eventually('it has written', async () => (await program.tail(1)) !== '');
  process.kill(Number(await program.tail(1)), 'SIGKILL');
  expect(await program.exited).toEqual({ code: undefined, signal: 'SIGKILL' });
  await eventually('it is gone', () => !isAlive(program.pid));
  await supervisor.close();
  expect(existsSync(supervisor.folder)).toBe(false);
});

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'programs and folder are gone after the owner died of %s',
  async (signal) => {
    const owner = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { Supervisor } from ${JSON.stringify(new URL('processes.ts', import.meta.url).href)};
         const supervisor = await Supervisor.open('sluice-test-');
         const program = await supervisor.start({
           name: 'p', program: process.execPath, args: ['--eval', "process.on('SIGTERM', () => {}); ${forever}"],
         });
         console.log(JSON.stringify({ pid: program.pid, folder: supervisor.folder }));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface(owner.stdout), 'line')) as [string];
    const { pid, folder } = JSON.parse(line) as { readonly pid: number; readonly folder: string };
    expect(isAlive(pid)).toBe(true);
    expect(existsSync(folder)).toBe(true);

    owner.kill(signal);
    await eventually('the program is gone', () => !isAlive(pid));
    await eventually('the folder is gone', () => !existsSync(folder));
  },
);

test('an exit is described by its code or its signal', () => {
  expect(describeExit({ code: 2, signal: undefined })).toBe('exit code 2');
  expect(describeExit({ code: undefined, signal: 'SIGKILL' })).toBe('signal SIGKILL');
});
