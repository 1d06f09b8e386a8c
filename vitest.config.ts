import { defineConfig } from 'vitest/config';
import { lineReporter, reportVariable } from './scripts/report.ts';

/** One project per level of proof; `npm test` runs them in this order, cheap ones first (scripts/test.ts). */
export const projects = [
  {
    name: 'unit',
    include: [
      'src/**/*.test.ts',
      'providers/**/*.test.ts',
      'scripts/**/*.test.ts',
      'test/support/**/*.test.ts',
      'test/bench/**/*.test.ts',
    ],
    timeoutMs: 10_000,
  },
  { name: 'contract', include: ['test/contract/**/*.test.ts'], timeoutMs: 30_000 },
  { name: 'wire', include: ['test/wire/**/*.test.ts'], timeoutMs: 60_000 },
  { name: 'sim', include: ['test/sim/**/*.test.ts'], timeoutMs: 900_000 },
  { name: 'cluster', include: ['test/cluster/**/*.test.ts'], timeoutMs: 300_000 },
];

const report = process.env[reportVariable];

export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', lineReporter(report)],
    projects: projects.map(({ name, include, timeoutMs }) => ({
      test: { name, include, testTimeout: timeoutMs, hookTimeout: timeoutMs, environment: 'node' as const },
    })),
  },
});
