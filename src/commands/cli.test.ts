/** The command line: what is understood, what is refused and what the user is told. */
import { describe, expect, test } from 'vitest';
import { SluiceError, type ErrorKind } from '../core/errors.ts';
import { runProgram } from './cli.ts';
import type { Shell } from './shell.ts';
import { command, exit, program } from './table.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What the command was given; undefined when none ran. */
  readonly seen: unknown;
}

/** `fail-denied`, `fail-bug`: a command that ends so. */
function fails(kind: ErrorKind) {
  return command({
    name: `fail-${kind}`,
    summary: 'Fail',
    description: '',
    words: '',
    wordCount: [0, 0],
    flags: {},
    examples: [],
    run: () => Promise.reject(new SluiceError(kind, 'no access to the cluster', { code: 'No' })),
  });
}

async function sluice(argv: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const texts = { out: '', err: '' };
  let seen: unknown;
  const shell: Shell = {
    out: (text) => void (texts.out += text),
    err: (text) => void (texts.err += text),
    env,
    columns: 80,
    interactive: false,
    colour: false,
  };
  const plan = command({
    name: 'plan',
    summary: 'Show what would be called',
    description: 'Changes nothing.\n\nNeeds no cluster.',
    words: '[FILE]',
    wordCount: [0, 1],
    flags: {
      filename: { kind: 'list', value: 'FILE', short: 'f', help: 'File to read' },
      output: { kind: 'choice', choices: ['text', 'json'], default: 'text', help: 'Form of the result' },
      wait: { kind: 'duration', default: 600_000, env: 'SLUICE_WAIT', help: 'How long to wait' },
      workers: { kind: 'integer', min: 1, max: 64, default: 16, help: 'Reconciles at once' },
      live: { kind: 'boolean', help: 'Ask the cluster' },
      config: { kind: 'string', value: 'FILE', help: 'Settings' },
    },
    examples: [{ line: 'sluice plan -f web.yaml', does: 'plans one file' }],
    run: async ({ flags, words }) => {
      // Read with their types: this is also a test of the compiler's view.
      const output: 'text' | 'json' = flags.output;
      const config: string | undefined = flags.config;
      seen = { ...flags, output, config, words };
      return exit.changes;
    },
  });
  const dump = command({
    name: 'sandbox dump',
    summary: 'Print the account',
    description: '',
    words: '',
    wordCount: [0, 0],
    flags: {},
    examples: [],
    run: async () => {
      seen = 'dump';
      return exit.ok;
    },
  });
  const sandbox = command({
    name: 'sandbox',
    summary: 'Start one',
    description: '',
    words: '[-- COMMAND]',
    wordCount: [0, 0],
    takesRest: true,
    flags: {},
    examples: [],
    run: async ({ rest }) => {
      seen = rest;
      return 7;
    },
  });
  const tool = program({
    name: 'sluice',
    version: '1.2.3',
    description: 'Opens the way.',
    commands: [plan, sandbox, dump, fails('denied'), fails('bug')],
    examples: [],
  });
  const code = await runProgram(tool, argv, shell);
  return { code, ...texts, seen };
}

describe('running a command', () => {
  test('defaults stand in for what is not given', async () => {
    const { code, seen } = await sluice(['plan']);
    expect(code).toBe(2);
    expect(seen).toEqual({
      filename: [],
      output: 'text',
      wait: 600_000,
      workers: 16,
      live: false,
      config: undefined,
      help: false,
      words: [],
    });
  });

  test('every kind of flag is read, lists add up, words may stand between flags', async () => {
    const { seen } = await sluice(
      'plan -f a.yaml web --filename=b.yaml,c.yaml --output json --wait 90s --workers=2 --live'.split(' '),
    );
    expect(seen).toMatchObject({
      filename: ['a.yaml', 'b.yaml', 'c.yaml'],
      output: 'json',
      wait: 90_000,
      workers: 2,
      live: true,
      words: ['web'],
    });
  });

  test('the environment stands in for a flag, and the flag wins over it', async () => {
    expect((await sluice(['plan'], { SLUICE_WAIT: '5s' })).seen).toMatchObject({ wait: 5000 });
    expect((await sluice(['plan', '--wait=1s'], { SLUICE_WAIT: '5s' })).seen).toMatchObject({ wait: 1000 });
  });

  test('a boolean can be switched off', async () => {
    expect((await sluice(['plan', '--live', '--no-live'])).seen).toMatchObject({ live: false });
    expect((await sluice(['plan', '--live=false'])).seen).toMatchObject({ live: false });
  });

  test('the longest command name wins', async () => {
    expect((await sluice(['sandbox', 'dump'])).seen).toBe('dump');
  });

  test('what stands behind -- is handed over untouched, and the exit code is passed on', async () => {
    const { code, seen } = await sluice(['sandbox', '--', 'kubectl', 'get', '--help']);
    expect(seen).toEqual(['kubectl', 'get', '--help']);
    expect(code).toBe(7);
  });
});

describe('a command that fails', () => {
  test('for an outside reason says it in one line, without a stack', async () => {
    const { code, err } = await sluice(['fail-denied']);
    expect(err).toBe('sluice: no access to the cluster\n');
    expect(code).toBe(1);
  });

  test('by a defect of ours keeps the stack for the report', async () => {
    await expect(sluice(['fail-bug'])).rejects.toThrow('no access to the cluster');
  });
});

describe('mistakes', () => {
  test.each<[string, string]>([
    ['plna', 'there is no command "plna"; did you mean plan?'],
    ['--confg=x', 'there is no flag "--confg=x"'],
    ['plan --workers-count=3', '--workers-count is not a flag of this command; did you mean --workers?'],
    ['plan --workrs=3', '--workrs is not a flag of this command; did you mean --workers?'],
    ['plan --zzzzzz', '--zzzzzz is not a flag of this command; see --help for those that exist'],
    ['plan --workers=65', '--workers is "65"; it must be a whole number from 1 to 64'],
    ['plan --workers=2x', '--workers is "2x"; it must be a whole number from 1 to 64'],
    ['plan --output=jsn', 'it must be one of text, json (did you mean "json"?)'],
    ['plan --wait=10', '--wait is "10"; it must be a number with a unit'],
    ['plan --config', '--config needs a value; write --config=FILE'],
    ['plan --config --live', '--config needs a value, and "--live" looks like a flag'],
    ['plan --config=', '--config is empty; give it a value or leave it out'],
    ['plan --live=maybe', '--live is "maybe"; it is either true or false'],
    ['plan a b', '"b" is too much: plan takes [FILE]'],
    ['plan -- ls', 'plan takes nothing behind --'],
    ['plan --constructor', '--constructor is not a flag of this command'],
  ])('`%s` is refused with: %s', async (line, message) => {
    const { code, err, out, seen } = await sluice(line.split(' '));
    expect(err).toContain(message);
    expect(code).toBe(64);
    expect(out).toBe('');
    expect(seen).toBeUndefined();
  });

  test('all mistakes are told at once', async () => {
    const { err } = await sluice(['plan', '--workers=0', '--nope', '--wait=soon'], {});
    expect(err.trimEnd().split('\n')).toHaveLength(4);
    expect(err).toContain('See `sluice plan --help`.');
  });

  test('a bad value in the environment names the variable', async () => {
    const { err, code } = await sluice(['plan'], { SLUICE_WAIT: 'soon' });
    expect(err).toContain('environment variable SLUICE_WAIT is "soon"');
    expect(code).toBe(64);
  });

  test('no command at all shows the help and fails, so that a container without arguments is noticed', async () => {
    const { err, code } = await sluice([]);
    expect(err).toContain('Commands:');
    expect(code).toBe(64);
  });
});

describe('help', () => {
  test('names every command, and the exit codes', async () => {
    const { out, code } = await sluice(['--help']);
    expect(code).toBe(0);
    for (const part of ['plan', 'sandbox dump', 'Show what would be called', '64', 'Exit codes:']) {
      expect(out).toContain(part);
    }
  });

  test.each([
    ['plan', '--help'],
    ['help', 'plan'],
    ['plan', '-h', '--nope'],
  ])('%s %s teaches the command', async (...argv) => {
    const { out, code, seen } = await sluice(argv);
    expect(code).toBe(0);
    expect(seen).toBeUndefined();
    for (const part of [
      '-f, --filename FILE',
      'may be repeated',
      '--output text|json',
      'default text',
      'default 10m; or SLUICE_WAIT',
      'sluice plan [FLAGS] [FILE]',
      '# plans one file',
      '-h, --help',
    ]) {
      expect(out).toContain(part);
    }
  });

  test('no line is wider than the terminal, and no colour codes go into a pipe', async () => {
    const { out } = await sluice(['plan', '--help']);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(out).not.toContain('\u001B');
  });

  test('the version is printed on its own', async () => {
    expect((await sluice(['--version'])).out).toBe('sluice 1.2.3\n');
  });
});
