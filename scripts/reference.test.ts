/** The generated reference: what a reader finds there. */
import { expect, test } from 'vitest';
import { configTable } from '../providers/aws/config-table.ts';
import { command, program } from '../src/commands/table.ts';
import { sections } from '../src/settings/table.ts';
import { annotationsTable, between, commandsPage, settingsPage, table } from './reference.ts';

test('a bar in a text does not break its table', () => {
  expect(table(['a'], [['x|y\nz']])).toBe('| a |\n| --- |\n| x\\|y z |\n');
});

test('every setting is listed with its full path, value and default', () => {
  const page = settingsPage(sections);
  expect(page).toContain('| `controller.drift.surveyEvery` | a duration from 10s to 24h, or 0 | `3m` |');
  expect(page).toContain('| `cluster.id` | a UID |  |');
});

test('the settings of a provider are listed under its name, from what validates them', () => {
  const page = settingsPage({ 'providers.aws': configTable });
  expect(page).toContain('## providers.aws');
  expect(page).toContain(
    '| `providers.aws.region` | the name of a region |  | Region of the account. Needed. |',
  );
  expect(page).toContain(
    '| `providers.aws.rates.modify` | calls a second, or `{perSecond, burst}` | `{perSecond: 3, burst: 18}` |',
  );
});

test('a command is shown with its flags, environment and examples', () => {
  const plan = command({
    name: 'plan',
    summary: 'Show what would be called',
    description: 'Changes nothing.',
    words: '[FILE]',
    wordCount: [0, 1],
    flags: { wait: { kind: 'duration', default: 60_000, env: 'SLUICE_WAIT', help: 'How long' } },
    examples: [{ line: 'sluice plan x', does: 'plans x' }],
    run: async () => 0,
  });
  const page = commandsPage(
    program({ name: 'sluice', version: '1', description: 'Opens.', commands: [plan], examples: [] }),
  );
  expect(page).toContain('## sluice plan');
  expect(page).toContain('| `--wait DURATION` | 1m | SLUICE_WAIT | How long |');
  expect(page).toContain('# plans x\nsluice plan x');
  expect(page).toContain('| 64 |');
});

test('an annotation that is not served says so', () => {
  const row = {
    key: 'a/b',
    values: 'text',
    fallback: '',
    means: 'Nothing.',
    status: 'refused',
    note: 'later',
  } as const;
  expect(annotationsTable([row])).toContain('| `a/b` | text |  | Nothing. | refused: later |');
});

test('generated text goes between its markers, and nowhere without them', () => {
  const readme = 'Hello\n<!-- generated: x -->\nold\n<!-- end: x -->\nBye\n';
  const made = between(readme, 'x', 'new');
  expect(made).toBe('Hello\n<!-- generated: x -->\n\nnew\n<!-- end: x -->\nBye\n');
  expect(between(made ?? '', 'x', 'new')).toBe(made);
  expect(between('Hello', 'x', 'new')).toBeUndefined();
});
