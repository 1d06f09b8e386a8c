/** The settings file: what is accepted, what stands in for what is absent, and what a user is told. */
import { describe, expect, test } from 'vitest';
import type { Problem } from '../core/problems.ts';
import { describeFileProblem, readSettings } from './read.ts';
import type { ProviderCheck } from './read.ts';

/** A provider that wants a region and takes what it is given. */
const aws: ProviderCheck = (section, field) => {
  const region = (section as { region?: unknown }).region;
  const problems: Problem[] =
    typeof region === 'string'
      ? []
      : [
          {
            severity: 'error',
            reason: 'InvalidConfig',
            field: `${field}.region`,
            message: 'no region',
            cure: 'Write one',
          },
        ];
  return { settings: section, problems };
};

const local: ProviderCheck = (section) => ({ settings: section, problems: [] });

function read(text: string) {
  const { settings, problems } = readSettings(text, 'sluice.yaml', { aws, local });
  return { settings, lines: problems.map(describeFileProblem) };
}

const head = 'apiVersion: sluice.dev/v1alpha1\nkind: Config\n';
const minimal = `${head}providers: {aws: {region: eu-west-1}}\n`;

describe('a settings file', () => {
  test('needs no more than a provider; everything else has its default', () => {
    const { settings, lines } = read(minimal);
    expect(lines).toEqual([]);
    expect(settings.providers.get('aws')).toEqual({ region: 'eu-west-1' });
    expect(settings.cluster).toEqual({ name: undefined, id: undefined });
    expect(settings.controller).toEqual({
      defaultProvider: 'aws',
      claimClassless: true,
      classes: { aws: [], alibaba: [], local: [] },
      workers: 64,
      publish: 'active',
      drift: { policy: 'correct', surveyEvery: 180_000, fullEvery: 3_600_000 },
      guard: { sharePercent: 50, least: 2, window: 600_000, checks: 3, span: 60_000 },
      strays: 'remove',
      lease: { namespace: 'sluice-system', name: 'sluice-controller' },
      listen: ':8080',
    });
  });

  test('is read as written', () => {
    const { settings, lines } = read(`${head}
cluster: {name: prod, id: 11111111-2222-3333-4444-555555555555}
controller:
  defaultProvider: local
  claimClassless: false
  classes: {aws: [service.k8s.aws/nlb, eks.amazonaws.com/nlb]}
  workers: 4
  publish: early
  drift: {policy: report, surveyEvery: 0, fullEvery: 1h30m}
  strays: report
  lease: {namespace: net}
  listen: 127.0.0.1:9000
providers:
  aws: {region: eu-west-1}
  local:
`);
    expect(lines).toEqual([]);
    expect(settings.cluster.name).toBe('prod');
    expect(settings.controller).toMatchObject({
      defaultProvider: 'local',
      claimClassless: false,
      classes: { aws: ['service.k8s.aws/nlb', 'eks.amazonaws.com/nlb'] },
      workers: 4,
      publish: 'early',
      drift: { policy: 'report', surveyEvery: 0, fullEvery: 5_400_000 },
      lease: { namespace: 'net', name: 'sluice-controller' },
      listen: '127.0.0.1:9000',
    });
    expect(settings.providers.get('local')).toEqual({});
  });

  test('tells all mistakes at once, in the order of the file, each with its place and cure', () => {
    const { lines, settings } = read(`${head}
cluster:
  name: "-prod"
  id: ABC
controler: {}
controller:
  wokers: 3
  workers: "3"
  publish: activ
  drift: {surveyEvery: 3, fullEvery: 10}
  classes:
    aws: [Bad Name, sluice.dev/local]
providers:
  aws:
    regin: eu-west-1
  gcp: {}
`);
    expect(lines).toEqual([
      'sluice.yaml:5:3: cluster.name: "-prod" is not a cluster name; use up to 100 letters, digits, dots, dashes and underscores',
      'sluice.yaml:6:3: cluster.id: "ABC" is not a UID; take what `kubectl get namespace kube-system -o jsonpath={.metadata.uid}` prints',
      'sluice.yaml:7:1: controler: "controler" is not known here; did you mean controller?',
      'sluice.yaml:9:3: controller.wokers: "wokers" is not known here; did you mean workers?',
      'sluice.yaml:10:3: controller.workers: "3" is not a whole number from 1 to 256; write a number, without quotes',
      'sluice.yaml:11:3: controller.publish: "activ" is not one of active, early; did you mean active?',
      'sluice.yaml:12:11: controller.drift.surveyEvery: 3 is not a duration from 10s to 24h, or 0; write a number with a unit, such as 500ms, 30s, 10m or 1h30m',
      'sluice.yaml:12:27: controller.drift.fullEvery: 10 is not a duration from 1m to 168h, or 0; write a number with a unit, such as 500ms, 30s, 10m or 1h30m',
      'sluice.yaml:14:5: controller.classes.aws: class "sluice.dev/local" is a class of provider local already; remove it here',
      'sluice.yaml:14:11: controller.classes.aws[0]: "Bad Name" is not the name of a load-balancer class; write it as spec.loadBalancerClass has it, such as example.com/nlb',
      'sluice.yaml:16:3: providers.aws.region: no region; write one',
      'sluice.yaml:18:3: providers.gcp: "gcp" is not known here; remove it; known are aws, alibaba, local',
    ]);
    expect(settings.controller.workers).toBe(64);
  });

  test.each<[string, string, string]>([
    ['an empty file', '', 'apiVersion is undefined; write apiVersion: sluice.dev/v1alpha1'],
    ['a list', '- a', 'is not a section'],
    ['another kind', minimal.replace('Config', 'Settings'), 'kind is "Settings"; write kind: Config'],
    ['another version', minimal.replace('v1alpha1', 'v1'), 'apiVersion is "sluice.dev/v1"'],
    ['no provider', head, 'no provider is configured; add a section for one of'],
    ['a section that is text', `${minimal}controller: yes please`, '"yes please" is not a section'],
    ['a key given twice', `${minimal}kind: Config`, 'not valid YAML: Map keys must be unique'],
    ['broken YAML', `${head}providers: {aws: [}`, 'sluice.yaml:3:'],
    [
      'a default provider that is not configured',
      `${minimal}controller: {defaultProvider: local}`,
      'controller.defaultProvider: "local" is not configured under providers; add providers.local, or choose one of aws',
    ],
    [
      'two providers and no default',
      `${head}providers: {aws: {region: x}, local: {}}`,
      'aws and local are configured, and none is the default for Services without a class',
    ],
    [
      'a provider that this version does not have',
      `${head}providers: {alibaba: {}}`,
      'providers.alibaba: this version of Sluice has no provider alibaba',
    ],
    [
      'one class for two providers',
      `${minimal}controller: {classes: {aws: [a.b/c], local: [a.b/c]}}`,
      'controller.classes.local: class "a.b/c" is a class of provider aws already',
    ],
    [
      'a class named twice',
      `${minimal}controller: {classes: {aws: [a.b/c, a.b/c]}}`,
      'controller.classes.aws[1]: "a.b/c" stands in the list twice; remove one',
    ],
  ])('%s is refused and named', (_name, text, message) => {
    expect(read(text).lines.join('\n')).toContain(message);
  });

  test('broken YAML is told as such, without the problems that half a file would have', () => {
    const { lines } = read(`${head}providers: {aws: {region: "x}`);
    expect(lines.every((line) => line.includes('not valid YAML'))).toBe(true);
    expect(lines.length).toBeGreaterThan(0);
  });

  test('two providers need no default when Services without a class are not served', () => {
    const { lines } = read(
      `${head}providers: {aws: {region: x}, local: {}}\ncontroller: {claimClassless: false}`,
    );
    expect(lines).toEqual([]);
  });
});
