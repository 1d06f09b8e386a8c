import { expect, test } from 'vitest';
import { atLeast, linkerFlags, readGoModule } from './go-module.ts';

test('the module says which Go it needs and which Kubernetes it makes, 1.36 or newer', async () => {
  const module = await readGoModule();
  expect(module.go).toMatch(/^1\.\d+/);
  expect(atLeast(module.kubernetes, '1.36')).toBe(true);
  expect(module.cacheKey).toMatch(/^control-plane-v1\.\d+\.\d+-[0-9a-f]{12}$/);
});

test.each([
  ['v1.36.3', '1.36', true],
  ['v1.36.3', '1.36.4', false],
  ['Kubernetes v1.35.9', '1.36', false],
  ['v2.0.0', '1.36', true],
  ['v1.9.9', '1.36', false],
  ['1.36', '1.36.0', true],
  ['v1.37.0-alpha.1', '1.37.0', true],
])('%s at least %s: %s', (have, need, answer) => {
  expect(atLeast(have, need)).toBe(answer);
});

test('the version is stamped for both packages that print it', () => {
  const flags = linkerFlags('v1.36.3').join(' ');
  for (const path of ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']) {
    expect(flags).toContain(`-X ${path}.gitVersion=v1.36.3`);
    expect(flags).toContain(`-X ${path}.gitMajor=1`);
    expect(flags).toContain(`-X ${path}.gitMinor=36`);
  }
});
