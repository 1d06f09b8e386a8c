/** `npm test` itself: nothing that could be run is forgotten. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projects } from '../vitest.config.ts';
import { prerequisites } from './prerequisites.ts';
import { readReport } from './report.ts';
import { root, run } from './run.ts';
import { applies, stages } from './stages.ts';

describe('stages', () => {
  test('every test file of the tree belongs to exactly one project', () => {
    const files = globSync('{src,providers,test,scripts}/**/*.test.ts', { cwd: root });
    const owners = projects.map(({ include }) => new Set(globSync(include, { cwd: root })));
    const wrong = files.filter((file) => owners.filter((owner) => owner.has(file)).length !== 1);
    expect(files.length).toBeGreaterThan(0);
    expect(wrong).toEqual([]);
  });

  test('no test file is left that runs a single test only', () => {
    const files = globSync('{src,providers,test,scripts}/**/*.test.ts', { cwd: root });
    const only = /\b(?:test|it|describe)\.only\b/u;
    const found = files.filter((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return only.test(text.replaceAll(/\/.*\.only.*\/u/gu, ''));
    });
    expect(found).toEqual([]);
  });

  test('a project without files is left out', () => {
    const empty = { kind: 'project', name: 'x', include: ['nowhere/**/*.test.ts'], needs: [] } as const;
    expect(applies(empty)).toBe(false);
  });

  test('every prerequisite that a stage names is known', () => {
    const needed = stages.flatMap((stage) => (stage.kind === 'project' ? stage.needs : []));
    expect(needed.filter((need) => prerequisites[need] === undefined)).toEqual([]);
  });

  test('every program of a check is installed', async () => {
    const programs = stages.flatMap((stage) => (stage.kind === 'check' ? [stage.command] : []));
    for (const program of new Set(programs)) {
      const { code, output } = await run(program, ['--version'], { limitMs: 20_000 });
      expect(code, `${program}: ${output}`).toBe(0);
    }
  });
});

describe('running a program', () => {
  test('its exit code and both streams come back', async () => {
    const script = 'console.log("out"); console.error("err"); process.exit(3)';
    const result = await run('node', ['-e', script], { limitMs: 10_000 });
    expect(result.code).toBe(3);
    expect(result.output).toContain('out');
    expect(result.output).toContain('err');
  });

  test('one that is not there is a failure with a message', async () => {
    const result = await run('no-such-program', [], { limitMs: 1000 });
    expect(result.code).toBeUndefined();
    expect(result.output).toContain('no-such-program');
  });

  test('one that hangs is ended at its limit', async () => {
    const result = await run('node', ['-e', 'setInterval(() => {}, 1000)'], { limitMs: 200 });
    expect(result.code).toBeUndefined();
    expect(result.output).toContain('ended after the limit');
    expect(result.seconds).toBeLessThan(8);
  });

  test('a report that was never written is empty', () => {
    expect(readReport('/nowhere/at/all')).toEqual({
      files: 0,
      passed: 0,
      failed: [],
      skipped: [],
      again: [],
    });
  });
});
