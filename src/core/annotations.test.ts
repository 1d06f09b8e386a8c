import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  ownAnnotations,
  parseBool,
  parseInteger,
  parseKeyValues,
  parseList,
  suggest,
  unknownKeys,
} from './annotations.ts';

describe('parseBool', () => {
  test.each(['1', 't', 'T', 'TRUE', 'true', 'True'])('reads %s as true', (text) => {
    expect(parseBool(text)).toBe(true);
  });
  test.each(['0', 'f', 'F', 'FALSE', 'false', 'False'])('reads %s as false', (text) => {
    expect(parseBool(text)).toBe(false);
  });
  test.each(['', 'yes', 'on', 'tRUE', ' true', 'true '])('does not understand "%s"', (text) => {
    expect(parseBool(text)).toBeUndefined();
  });
});

describe('parseInteger', () => {
  const bounds = { min: -10, max: 300 };
  test.each([
    ['0', 0],
    ['300', 300],
    ['-10', -10],
  ])('reads %s', (text, value) => {
    expect(parseInteger(text, bounds)).toBe(value);
  });
  test.each(['', '301', '-11', '-0', '010', '+5', '1.0', '1e2', '0x10', ' 5', '5s', '１'])(
    'does not understand "%s"',
    (text) => {
      expect(parseInteger(text, bounds)).toBeUndefined();
    },
  );
  test.prop([fc.maxSafeInteger().filter((n) => Math.abs(n) < 1e15)])('reads back what was printed', (n) => {
    expect(parseInteger(String(n), { min: n, max: n })).toBe(n);
  });
});

describe('parseList', () => {
  test('trims pieces and leaves out empty ones', () => {
    expect(parseList(' a, b,,c ,')).toEqual(['a', 'b', 'c']);
    expect(parseList('  ')).toEqual([]);
  });
});

describe('parseKeyValues', () => {
  const cases: readonly [string, string, ReturnType<typeof parseKeyValues>][] = [
    [
      'pairs',
      'a=1, b = 2',
      {
        entries: [
          ['a', '1'],
          ['b', '2'],
        ],
        malformed: [],
        repeated: [],
      },
    ],
    ['an empty value', 'a=', { entries: [['a', '']], malformed: [], repeated: [] }],
    ['an equals sign in the value', 'a=b=c', { entries: [['a', 'b=c']], malformed: [], repeated: [] }],
    [
      'an escaped comma',
      'a=1\\,2,b=3',
      {
        entries: [
          ['a', '1,2'],
          ['b', '3'],
        ],
        malformed: [],
        repeated: [],
      },
    ],
    ['the last of two values', 'a=1,a=2', { entries: [['a', '2']], malformed: [], repeated: ['a'] }],
    [
      'what is malformed beside what is good',
      'a=1,b,=c',
      {
        entries: [['a', '1']],
        malformed: ['b', '=c'],
        repeated: [],
      },
    ],
    ['nothing from an empty text', ' , ', { entries: [], malformed: [], repeated: [] }],
  ];
  test.each(cases)('reads %s', (_idea, text, expected) => {
    expect(parseKeyValues(text)).toEqual(expected);
  });

  const word = fc.stringMatching(/^[a-z./-]{1,8}$/);
  test.prop([
    fc.uniqueArray(fc.tuple(word, fc.stringMatching(/^[a-z,=]{0,8}$/)), { selector: ([key]) => key }),
  ])('reads back every list whose commas were escaped', (pairs) => {
    const text = pairs.map(([key, value]) => `${key}=${value.replaceAll(',', '\\,')}`).join(',');
    expect(parseKeyValues(text)).toEqual({ entries: pairs, malformed: [], repeated: [] });
  });
});

describe('suggest', () => {
  const known = [
    'service.beta.kubernetes.io/aws-load-balancer-name',
    'service.beta.kubernetes.io/aws-load-balancer-scheme',
    'service.beta.kubernetes.io/aws-load-balancer-subnets',
    'service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval',
  ];
  const aws = 'service.beta.kubernetes.io/aws-load-balancer-';
  test.each([
    ['a missing letter', `${aws}schem`, `${aws}scheme`],
    ['swapped neighbours', `${aws}shceme`, `${aws}scheme`],
    ['another case', `${aws}Scheme`, `${aws}scheme`],
    ['a word written apart', `${aws}health-check-interval`, `${aws}healthcheck-interval`],
    ['a shortened prefix', 'service.beta.kubernetes.io/load-balancer-scheme', `${aws}scheme`],
    ['a singular', `${aws}subnet`, `${aws}subnets`],
  ])('finds the key behind %s', (_idea, key, expected) => {
    expect(suggest(key, known)).toBe(expected);
  });
  test('stays silent when nothing is near, however long the shared prefix', () => {
    expect(suggest(`${aws}foo`, known)).toBeUndefined();
    expect(suggest(`${aws}access-log-enabled`, known)).toBeUndefined();
  });
  test.prop([fc.constantFrom(...known), fc.nat(), fc.stringMatching(/^[a-z]$/)])(
    'forgives one changed letter of the last word',
    (key, seed, letter) => {
      const from = key.lastIndexOf('-') + 1;
      const at = from + (seed % (key.length - from));
      expect(suggest(key.slice(0, at) + letter + key.slice(at + 1), known)).toBe(key);
    },
  );
});

describe('unknownKeys', () => {
  test('names each unknown key of the prefixes, with the key that was meant', () => {
    const problems = unknownKeys(
      {
        'x.io/colour': 'red',
        'x.io/size': '1',
        'x.io/part.80': 'a',
        'other.io/colur': 'b',
        'x.io/colur': '',
      },
      ['x.io/'],
      ['x.io/colour', 'x.io/part.*'],
    );
    expect(problems.map(({ field, cure, reason, severity }) => [field, cure, reason, severity])).toEqual([
      ['metadata.annotations["x.io/colur"]', 'did you mean "x.io/colour"?', 'UnknownAnnotation', 'warning'],
      [
        'metadata.annotations["x.io/size"]',
        'remove it or correct its spelling',
        'UnknownAnnotation',
        'warning',
      ],
    ]);
  });
});

describe('ownAnnotations', () => {
  const nothing = {
    paused: false,
    planOnly: false,
    provider: undefined,
    driftPolicy: undefined,
    publish: undefined,
    targets: undefined,
  };
  const rows: readonly [string, Readonly<Record<string, string>>, object][] = [
    ['nothing is said', { 'example.com/paused': 'true' }, nothing],
    ['pause', { 'sluice.dev/paused': 'True' }, { ...nothing, paused: true }],
    ['no pause', { 'sluice.dev/paused': 'f' }, nothing],
    ['plan only', { 'sluice.dev/plan-only': '1' }, { ...nothing, planOnly: true }],
    ['provider', { 'sluice.dev/provider': 'alibaba' }, { ...nothing, provider: 'alibaba' }],
    ['drift', { 'sluice.dev/drift-policy': 'report' }, { ...nothing, driftPolicy: 'report' }],
    ['publish', { 'sluice.dev/publish': 'early' }, { ...nothing, publish: 'early' }],
    ['targets', { 'sluice.dev/targets': 'all-nodes' }, { ...nothing, targets: 'all-nodes' }],
    ['our own record', { 'sluice.dev/served-by': 'aws' }, nothing],
  ];
  test.each(rows)('reads: %s', (_idea, annotations, settings) => {
    expect(ownAnnotations(annotations)).toEqual({ settings, problems: [] });
  });

  test('reports every mistake at once, and quotes it', () => {
    const { problems } = ownAnnotations({
      'sluice.dev/publish': 'soon',
      'sluice.dev/provider': 'azure',
      'sluice.dev/pased': 'true',
    });
    expect(problems.map(({ severity, field, message, cure }) => [severity, field, message, cure])).toEqual([
      [
        'error',
        'metadata.annotations["sluice.dev/provider"]',
        '"azure" is not one of aws, alibaba, local',
        'correct the value or remove the annotation',
      ],
      [
        'error',
        'metadata.annotations["sluice.dev/publish"]',
        '"soon" is not one of active, early',
        'correct the value or remove the annotation',
      ],
      [
        'warning',
        'metadata.annotations["sluice.dev/pased"]',
        'this annotation is not known and has no effect',
        'did you mean "sluice.dev/paused"?',
      ],
    ]);
  });

  test('leaves a Service alone when the wish for it cannot be read', () => {
    const { settings, problems } = ownAnnotations({
      'sluice.dev/paused': 'ture',
      'sluice.dev/plan-only': '',
    });
    expect(settings).toMatchObject({ paused: true, planOnly: true });
    expect(problems).toHaveLength(2);
  });

  test('keeps silent about keys that the provider reads itself', () => {
    expect(ownAnnotations({ 'sluice.dev/pool': 'a' }, ['sluice.dev/pool']).problems).toEqual([]);
  });
});
