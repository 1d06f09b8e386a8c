/**
 * `sluice local setup` and `teardown` as a user runs them, with programs of the test in the place of sysctl, ip and
 * sudo and a state folder of its own: nothing of this machine is read or changed.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));
let root: string;
let journal: string;

/** What stands for the machine: a file for the bound, one with a range on each line, and a word that makes a call fail. */
const tools = {
  sysctl: `case "$1" in
-n) IFS= read -r value < "$ROOT/bound"; echo "$value" ;;
-w) echo "\${2#*=}" > "$ROOT/bound" ;;
esac`,
  ip: `case "$3" in
add) echo "$5" >> "$ROOT/ranges" ;;
del) kept=; found=; while IFS= read -r one; do [ "$one" = "$5" ] && found=1 || kept="$kept$one
"; done < "$ROOT/ranges"; printf %s "$kept" > "$ROOT/ranges"; [ -n "$found" ] || { echo 'RTNETLINK answers: No such process' >&2; exit 2; } ;;
show) while IFS= read -r one; do [ "$one" = "$7" ] && echo "local $one dev lo scope host"; done < "$ROOT/ranges" ;;
esac
exit 0`,
  sudo: '"$@"',
} as const;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-setup-'));
  journal = join(root, 'state', 'local-setup.json');
  await mkdir(join(root, 'bin'));
  for (const [name, text] of Object.entries(tools)) {
    const path = join(root, 'bin', name);
    const fail = `[ -s "$ROOT/fails" ] && { IFS= read -r word < "$ROOT/fails"; case "$*" in *"$word"*) echo 'Operation not permitted' >&2; exit 1 ;; esac; }`;
    await writeFile(path, `#!/bin/sh\n${fail}\n${text}\n`);
    await chmod(path, 0o755);
  }
  await writeFile(join(root, 'bound'), '1024\n');
  await writeFile(join(root, 'ranges'), '');
});

afterEach(() => rm(root, { recursive: true, force: true }));

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function local(...args: readonly string[]): Promise<Answer> {
  // Only the programs of the test are found.
  const env = { PATH: join(root, 'bin'), ROOT: root, HOME: root, SLUICE_STATE_DIR: join(root, 'state') };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, 'local', ...args], { env }, (error, out, err) => {
      expect(out + err).not.toMatch(/\n\s+at .*file:|Node\.js v\d/u);
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
    child.stdin?.end();
  });
}

const machine = async (): Promise<readonly string[]> =>
  (await Promise.all(['bound', 'ranges'].map((name) => readFile(join(root, name), 'utf8')))).map((text) =>
    text.trim(),
  );
const untouched = ['1024', ''];
const full = ['0', '10.240.0.0/24'];
const setup = ['setup', '--pool', '10.240.0.0/24', '--yes'] as const;

describe.runIf(process.platform === 'linux')('on Linux', () => {
  test('there and back; a second time of each has nothing to do', async () => {
    expect(await local(...setup)).toMatchObject({ code: 0 });
    expect(await machine()).toEqual(full);
    expect((await local(...setup)).out).toBe('Nothing is left to do.\n');
    expect((await local('teardown', '--yes')).code).toBe(0);
    expect(await machine()).toEqual(untouched);
    const again = await local('teardown', '--yes');
    expect(again.code).toBe(0);
    expect(again.out).toContain(`Nothing was set up: there is no journal ${journal}.`);
    expect(again.out).toContain('another user');
  });

  test('nobody to ask: nothing is done, in both directions', async () => {
    const asked = await local('setup');
    expect(asked.code).toBe(1);
    expect(asked.err).toContain('say --yes');
    expect(await machine()).toEqual(untouched);
    await local(...setup);
    expect((await local('teardown')).code).toBe(1);
    expect(await machine()).toEqual(full);
  });

  test('a step is refused: it says so and what to do, and both ways lead on', async () => {
    await writeFile(join(root, 'fails'), 'route add\n');
    const refused = await local(...setup);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('Operation not permitted');
    expect(refused.err).toContain('Run it again to go on, or `sluice local teardown` to take back what was.');
    expect(await machine()).toEqual(['0', '']);
    await writeFile(join(root, 'fails'), '');
    expect((await local(...setup)).code).toBe(0);
    expect(await machine()).toEqual(full);
    await writeFile(join(root, 'fails'), '-w\n');
    const stuck = await local('teardown', '--yes');
    expect(stuck.code).toBe(1);
    expect(stuck.err).toContain('Not all was undone. Run it again: it goes on with the rest.');
    await writeFile(join(root, 'fails'), '');
    expect((await local('teardown', '--yes')).code).toBe(0);
    expect(await machine()).toEqual(untouched);
  });

  test.each([
    ['half of it', (text: string) => text.slice(0, text.length / 2)],
    ['nothing', () => ''],
    ['another program’s words', () => '{"steps":[{"kind":"run","line":"reboot"}],"boot":"x"}'],
  ])(
    'a journal that holds %s: neither way goes on, nothing is lost, and the cure is told',
    async (_what, spoil) => {
      await local(...setup);
      const bad = spoil(await readFile(journal, 'utf8'));
      await writeFile(journal, bad);
      for (const args of [
        ['teardown', '--yes'],
        ['setup', '--pool', '10.241.0.0/24', '--yes'],
      ]) {
        const said = await local(...args);
        expect(said.code).toBe(1);
        expect(said.err).toContain(`${journal} cannot be understood`);
        expect(said.err).toContain('ip -4 route show table local');
      }
      expect(await machine()).toEqual(full);
      expect(await readFile(journal, 'utf8')).toBe(bad);
    },
  );

  test('a crash between writing and renaming leaves the journal as it was', async () => {
    await local(...setup);
    await writeFile(`${journal}.new`, '{"boot":');
    expect((await local('teardown', '--yes')).code).toBe(0);
    expect(await machine()).toEqual(untouched);
  });

  test('what somebody else set meanwhile is left and named; the rest is undone', async () => {
    await local(...setup);
    await writeFile(join(root, 'bound'), '80\n');
    const { code, out } = await local('teardown', '--yes');
    expect(code).toBe(0);
    expect(out).toMatch(/\(left: somebody changed it since\) .*ip_unprivileged_port_start=1024/u);
    expect(await machine()).toEqual(['80', '']);
  });

  test('what somebody else took away meanwhile is named and not taken away again', async () => {
    await local(...setup);
    await writeFile(join(root, 'ranges'), '');
    const { code, out } = await local('teardown', '--yes');
    expect(code).toBe(0);
    expect(out).toMatch(/\(left: nothing of it is there any more\) .*10\.240\.0\.0\/24/u);
    expect(await machine()).toEqual(untouched);
  });

  test('a journal that cannot be written: no step is done', async () => {
    await writeFile(join(root, 'state'), 'a file where the folder should be');
    const said = await local(...setup);
    expect(said.code).toBe(1);
    expect(said.err).toMatch(/the journal .* cannot be (?:read|written)/u);
    expect(said.err).toContain('SLUICE_STATE_DIR');
    expect(await machine()).toEqual(untouched);
  });

  test('a program that is not there is named', async () => {
    await rm(join(root, 'bin', 'ip'));
    const said = await local(...setup);
    expect(said.code).toBe(1);
    expect(said.err).toContain('ip cannot be run');
    expect(await machine()).toEqual(untouched);
  });
});
