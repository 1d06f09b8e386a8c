import { defineConfig } from 'vitest/config';
import { lineReporter, reportVariable } from './scripts/report.ts';

/**
 * One project per level of proof; `npm test` runs them in this order, cheap ones first (scripts/test.ts). A worker for
 * each of two cores, unless said otherwise.
 */
export const projects: readonly {
  readonly name: string;
  readonly include: string[];
  readonly timeoutMs: number;
  readonly maxWorkers?: number;
  readonly retry?: number;
}[] = [
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
    maxWorkers: 2,
  },
  { name: 'contract', include: ['test/contract/**/*.test.ts'], timeoutMs: 30_000, maxWorkers: 2 },
  { name: 'wire', include: ['test/wire/**/*.test.ts'], timeoutMs: 60_000 },
  { name: 'sim', include: ['test/sim/**/*.test.ts'], timeoutMs: 1_800_000, maxWorkers: 2 },
  // Real processes on a machine that others use too are tried again once; `npm test` names those that needed it.
  // Network namespaces, real rules, real packets: root and the kernel's tools are needed.
  { name: 'packets', include: ['test/packets/**/*.test.ts'], timeoutMs: 240_000, maxWorkers: 2, retry: 1 },
  // They mostly wait, each for a control plane of its own: more at once than there are cores.
  { name: 'cluster', include: ['test/cluster/**/*.test.ts'], timeoutMs: 300_000, maxWorkers: 3, retry: 1 },
];

const report = process.env[reportVariable];

export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', lineReporter(report)],
    projects: projects.map(({ name, include, timeoutMs, maxWorkers, retry = 0 }) => ({
      test: {
        name,
        include,
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        environment: 'node' as const,
        retry,
        ...(maxWorkers === undefined ? {} : { maxWorkers }),
      },
    })),
  },
});
