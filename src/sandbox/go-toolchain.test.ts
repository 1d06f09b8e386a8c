import { expect, test } from 'vitest';
import { judgeGo } from './go-toolchain.ts';

function settings(version: string, toolchain: string): string {
  return JSON.stringify({
    GOVERSION: version,
    GOTOOLCHAIN: toolchain,
    GOHOSTOS: 'linux',
    GOHOSTARCH: 'arm64',
  });
}

test.each([
  ['the same version', 'go1.26.0', 'local', 'ready'],
  ['a newer patch', 'go1.26.8', 'local', 'ready'],
  ['a newer minor version with two digits', 'go1.100.1', 'local', 'ready'],
  ['a version with an experiment', 'go1.26.8 X:arenas', 'local', 'ready'],
  ['a development version', 'devel go1.27-3f8c5a2 Mon Jan 5', 'local', 'ready'],
  ['an older one that may fetch', 'go1.25.3', 'auto', 'fetches'],
  ['an older one that may fetch, from its own first', 'go1.21.0', 'local+auto', 'fetches'],
  ['an older one that may not fetch', 'go1.25.3', 'local', 'unfit'],
  ['an older one that only looks on PATH', 'go1.25.3', 'path', 'unfit'],
  ['one from before Go could fetch', 'go1.20.14', 'auto', 'unfit'],
])('Go: %s', (_what, version, toolchain, kind) => {
  expect(judgeGo('1.26.0', settings(version, toolchain)).kind).toBe(kind);
});

test('an unfit Go is told with its version and what forbids it to fetch a newer one', () => {
  expect(judgeGo('1.26.0', settings('go1.25.3', 'local'))).toMatchObject({
    why: expect.stringMatching(/1\.25\.3.*1\.26\.0.*GOTOOLCHAIN is local/),
  });
});

test('the machine is named in the words of Go', () => {
  expect(judgeGo('1.26.0', settings('go1.26.1', 'auto'))).toEqual({
    kind: 'ready',
    toolchain: { version: '1.26.1', os: 'linux', arch: 'arm64' },
  });
});

test('something that is not Go is found out', () => {
  expect(() => judgeGo('1.26.0', 'Usage: go [black|white]')).toThrow(/Usage: go/);
});
