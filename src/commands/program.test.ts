/** The program teaches itself: every command and every flag is explained, and what the texts name exists. */
import { describe, expect, test } from 'vitest';
import { runProgram } from './cli.ts';
import { parseFlags } from './flags.ts';
import { sluice } from './program.ts';

/** The words of an example that follow our own name, up to a pipe; undefined where it does not call us directly. */
function argvOf(line: string): readonly string[] | undefined {
  const [, rest] = /(?:^|\| )sluice (.*)$/u.exec(line) ?? [];
  return rest
    ?.split(' | ')[0]
    ?.replaceAll(/'[^']*'/gu, 'QUOTED')
    .split(' ');
}

async function help(argv: readonly string[]): Promise<string> {
  let said = '';
  const take = (text: string): void => void (said += text);
  const shell = { out: take, err: take, env: {}, columns: 80, interactive: false, colour: false };
  expect(await runProgram(sluice, argv, shell)).toBe(0);
  return said;
}

test('the commands that the page promises are there', () => {
  expect(sluice.commands.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['controller', 'plan', 'explain', 'sandbox', 'sandbox dump', 'demo', 'uninstall']),
  );
});

test('the help of the program names every command with its summary', async () => {
  const text = (await help(['--help'])).replaceAll(/\s+/gu, ' ');
  for (const { name, summary } of sluice.commands) {
    expect(text).toContain(name);
    expect(text).toContain(summary);
  }
});

describe.each(sluice.commands)('$name', (command) => {
  test('says in one line what it does, in paragraphs how, and shows it by examples', async () => {
    expect(command.summary).toMatch(/^[A-Z].*[^.]$/u);
    expect(command.description.length).toBeGreaterThan(100);
    expect(command.examples.length).toBeGreaterThan(0);
    const text = await help([...command.name.split(' '), '--help']);
    for (const { line, does } of command.examples) {
      expect(text).toContain(line);
      expect(text).toContain(does);
    }
  });

  test('explains each of its flags in a line without a full stop', () => {
    for (const [name, flag] of Object.entries(command.flags)) {
      expect(name).toMatch(/^[a-z][a-z-]*$/u);
      expect(flag.help, `--${name}`).toMatch(/^[A-Z].*[^.]$/u);
      // The program adds these itself, from what the flag is.
      expect(flag.help, `--${name}`).not.toMatch(/repeated|default (?:is|\d)/u);
    }
  });

  test('shares no short flag between two', () => {
    const shorts = Object.values(command.flags).flatMap(({ short }) => short ?? []);
    expect(new Set(shorts).size).toBe(shorts.length);
    expect(shorts).not.toContain('h');
  });
});

describe('every example can be typed as it stands', () => {
  const examples = [...sluice.examples, ...sluice.commands.flatMap((command) => command.examples)];
  const ours = examples.flatMap(({ line }) => {
    const argv = argvOf(line);
    return argv === undefined ? [] : [{ line, argv }];
  });

  test('there are many', () => {
    expect(ours.length).toBeGreaterThan(10);
  });

  test.each(ours)('$line', ({ argv }) => {
    const command = sluice.commands
      .toSorted((a, b) => b.name.length - a.name.length)
      .find(({ name }) => `${argv.join(' ')} `.startsWith(`${name} `));
    expect(command, 'there is such a command').toBeDefined();
    if (command === undefined) return;
    const { mistakes, words } = parseFlags(command.flags, argv.slice(command.name.split(' ').length), {});
    expect(mistakes).toEqual([]);
    expect(words.length).toBeGreaterThanOrEqual(command.wordCount[0]);
    expect(words.length).toBeLessThanOrEqual(command.wordCount[1]);
  });
});

test('what a description says of another command or flag of ours is true', () => {
  const names = new Set(sluice.commands.map(({ name }) => name.split(' ')[0]));
  const flags = new Set(sluice.commands.flatMap(({ flags: own }) => Object.keys(own)));
  for (const { description } of sluice.commands) {
    for (const [, name] of description.matchAll(/`sluice ([a-z]+)/gu)) expect(names).toContain(name);
    for (const [, flag] of description.replaceAll(/\(kubectl [^)]*\)/gu, '').matchAll(/--([a-z][a-z-]+)/gu))
      expect(flags).toContain(flag);
  }
});
