/** From the settings file to what the controller is told. */
import { expect, test } from 'vitest';
import { readSettings } from '../settings/read.ts';
import { controllerOptions, type ControllerSection } from './options.ts';
import { guardRules } from '../core/guard.ts';

function section(yaml: string): ControllerSection {
  const head = 'apiVersion: sluice.dev/v1alpha1\nkind: Config\nproviders: {aws: {}}\n';
  const checks = { aws: () => ({ settings: {}, problems: [] }) };
  const { settings, problems } = readSettings(`${head}${yaml}`, 'config.yaml', checks);
  expect(problems).toEqual([]);
  return settings.controller;
}

test('an empty section gives the rules that the core has by itself, and corrects drift', () => {
  expect(controllerOptions(section(''), ['aws'])).toMatchObject({
    guard: guardRules,
    publishEarly: false,
    driftPolicy: 'correct',
    strays: 'remove',
    claim: { providers: ['aws'], defaultProvider: 'aws', claimClassless: true },
  });
});

test.each<[string, object]>([
  ['publish: early', { publishEarly: true }],
  ['drift: {policy: report}', { driftPolicy: 'report' }],
  ['drift: {surveyEvery: 10m, fullEvery: 2h}', { surveyEveryMs: 600_000, fullEveryMs: 7_200_000 }],
  ['strays: report', { strays: 'report' }],
  ['claimClassless: false', { claim: { claimClassless: false } }],
  ['guard: {sharePercent: 25, least: 5}', { guard: { share: 0.25, least: 5 } }],
  ['guard: {checks: 4, span: 2m}', { guard: { checks: 4, spanMs: 120_000 } }],
  ['guard: {window: 30m}', { guard: { windowMs: 1_800_000 } }],
  ['classes: {aws: [example.com/nlb]}', { claim: { classes: { aws: ['example.com/nlb'] } } }],
])('controller: %s', (line, expected) => {
  expect(controllerOptions(section(`controller: {${line}}`), ['aws'])).toMatchObject(expected);
});

test('of several providers none is the default unless it is named', () => {
  const of = (defaultProvider: 'aws' | undefined) =>
    controllerOptions({ ...section(''), defaultProvider }, ['aws', 'local']).claim.defaultProvider;
  expect(of(undefined)).toBe(undefined);
  expect(of('aws')).toBe('aws');
});
