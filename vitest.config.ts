import { defineConfig } from 'vitest/config';

/** One project per level of proof; `npm test` runs them cheap ones first (scripts/test.ts). */
function project(name: string, include: string[], timeoutMs: number) {
  return {
    test: { name, include, testTimeout: timeoutMs, hookTimeout: timeoutMs, environment: 'node' as const },
  };
}

export default defineConfig({
  test: {
    projects: [
      project('unit', ['src/**/*.test.ts', 'providers/**/*.test.ts', 'scripts/**/*.test.ts'], 10_000),
      project('contract', ['test/contract/**/*.test.ts'], 30_000),
      project('wire', ['test/wire/**/*.test.ts'], 60_000),
      project('sim', ['test/sim/**/*.test.ts'], 900_000),
      project('cluster', ['test/cluster/**/*.test.ts'], 300_000),
    ],
  },
});
