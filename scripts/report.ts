/**
 * How a vitest run tells `npm test` what happened: one JSON line per test file, appended as it ends.
 *
 * A file of lines and not one report at the end, so that a run that crashes half way still shows what it
 * had done, and a long run can be watched. Whatever failed outside a test (a file that does not load, a
 * hook, an unhandled rejection) counts as a failure of its own: nothing that went wrong is lost in a count.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** Environment variable with the path to append to. */
export const reportVariable = 'SLUICE_TEST_REPORT';

export interface FileReport {
  readonly file: string;
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
  /** Counted as passed, but only at the second try. */
  readonly again: readonly string[];
}

/** Sums of the lines of one report. */
export interface Report {
  readonly files: number;
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
  /** Counted as passed, but only at the second try. */
  readonly again: readonly string[];
}

function fileReport(module: TestModule): FileReport {
  const file = module.relativeModuleId;
  const tests = [...module.children.allTests()];
  const named = (state: string): string[] =>
    tests.filter((test) => test.result().state === state).map((test) => `${file} > ${test.fullName}`);
  const failedHooks = [...module.children.allSuites()]
    .filter((suite) => suite.errors().length > 0)
    .map((suite) => `${file} > ${suite.fullName} (set-up or tear-down)`);
  const failedFile = module.errors().length > 0 ? [`${file} (the file itself)`] : [];
  return {
    file,
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failed: [...named('failed'), ...failedHooks, ...failedFile],
    skipped: [...named('skipped'), ...named('pending')],
    again: tests
      .filter((test) => test.diagnostic()?.flaky === true)
      .map((test) => `${file} > ${test.fullName}`),
  };
}

/** The vitest reporter that writes those lines to `path`. */
export function lineReporter(path: string): Reporter {
  const write = (report: FileReport): void => appendFileSync(path, `${JSON.stringify(report)}\n`);
  return {
    onTestModuleEnd: (module) => write(fileReport(module)),
    onTestRunEnd: (_modules, unhandled) => {
      for (const error of unhandled) {
        write({
          file: '',
          passed: 0,
          failed: [`outside any test: ${error.message}`],
          skipped: [],
          again: [],
        });
      }
    },
  };
}

/** Reads what has been written so far; a report that was never begun is empty. */
export function readReport(path: string): Report {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const lines = whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FileReport);
  return {
    files: lines.filter((line) => line.file !== '').length,
    passed: lines.reduce((sum, line) => sum + line.passed, 0),
    failed: lines.flatMap((line) => line.failed),
    skipped: lines.flatMap((line) => line.skipped),
    again: lines.flatMap((line) => line.again),
  };
}
