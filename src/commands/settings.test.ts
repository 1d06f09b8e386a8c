/** The settings file as a command reads it: all mistakes at once, each with its place, then no settings. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { providerChecks } from './providers.ts';
import { loadSettings } from './settings.ts';
import type { Shell } from './shell.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-settings-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function load(text: string | undefined) {
  const path = join(folder, 'config.yaml');
  if (text !== undefined) writeFileSync(path, text);
  let said = '';
  const shell: Shell = {
    out: () => undefined,
    err: (part) => void (said += part),
    env: {},
    columns: 80,
    interactive: false,
    colour: false,
  };
  return { path, settings: await loadSettings(path, shell), said: () => said };
}

const good = `apiVersion: sluice.dev/v1alpha1
kind: Config
cluster: {name: prod}
providers:
  aws:
    region: eu-west-1
    subnets: {internal: [subnet-a]}
`;

test('a good file is read without a word', async () => {
  const { settings, said } = await load(good);
  expect(said()).toBe('');
  expect(settings?.cluster.name).toBe('prod');
  expect([...(settings?.providers.keys() ?? [])]).toEqual(['aws']);
});

test('several mistakes are told at once, each with line, column and cure, and nothing is run on them', async () => {
  const { path, settings, said } = await load(
    good.replace('region: eu-west-1', 'regoin: eu-west-1').replace('kind: Config', 'kind: Confg'),
  );
  expect(settings).toBe(undefined);
  const lines = said().trimEnd().split('\n');
  expect(lines.length).toBeGreaterThanOrEqual(2);
  for (const line of lines) expect(line).toContain(`${path}:`);
  expect(said()).toContain('kind is "Confg"');
  expect(said()).toContain('regoin');
});

test('a file that is not there is named, with the flag that names it', async () => {
  const { path, settings, said } = await load(undefined);
  expect(settings).toBe(undefined);
  expect(said()).toBe(`sluice: settings file ${path}: there is no such file; name it with --config FILE\n`);
});

test('the checks of the providers are those of this build', async () => {
  expect(Object.keys(await providerChecks())).toEqual(['aws', 'alibaba', 'local']);
});
