import { expect, test } from 'vitest';
import { buildFailure, describeCompiling } from './go-build.ts';

// Last words of Go as it writes them in each case.
test.each([
  [
    'a name that does not resolve',
    'go: k8s.io/api@v0.36.3: Get "https://proxy.example/k8s.io/api/@v/v0.36.3.zip": dial tcp: lookup proxy.example: no such host',
    'CannotDownload',
    'transient',
    /GOPROXY/,
  ],
  [
    'a proxy that refuses',
    'go: k8s.io/api@v0.36.3: reading https://proxy.example/k8s.io/api/@v/v0.36.3.zip: 403 Forbidden',
    'CannotDownload',
    'transient',
    /GOPROXY/,
  ],
  [
    'a full disk',
    'write /tmp/go-build/b001/_pkg_.a: no space left on device',
    'NoSpace',
    'invalid',
    /XDG_CACHE_HOME/,
  ],
  [
    'a linker that was killed',
    '/usr/local/go/pkg/tool/link: signal: killed',
    'NoMemory',
    'invalid',
    /memory/,
  ],
  [
    'a module with other bytes',
    'verifying k8s.io/api@v0.36.3: checksum mismatch\n\tdownloaded: h1:abc',
    'WrongModule',
    'invalid',
    /go\.sum/,
  ],
  ['anything else', 'main.go:1:1: expected declaration', 'BuildFailed', 'invalid', /expected declaration/],
])('a build failed by %s is told with its cure', (_what, said, code, kind, cure) => {
  const error = buildFailure(`unsafe\nruntime\n${said}\n`, 'exit code 1', '/tmp/logs');
  expect(error).toMatchObject({ code, kind });
  expect(error.message).toMatch(cure);
  expect(error.message).toContain(said.split('\n')[0]);
  expect(error.message).toContain('/tmp/logs');
  expect(error.message).not.toContain('runtime');
});

test('progress counts packages, then tells of linking', () => {
  expect(describeCompiling(12, 1525, 9)).toBe('compiled 12 of 1525 packages, 9 s');
  expect(describeCompiling(1525, 1525, 170)).toBe('all 1525 packages compiled, linking, 170 s');
});
