import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { SluiceError } from './errors.ts';
import type { ErrorKind } from './errors.ts';
import { execute } from './execute.ts';
import type { Execution } from './execute.ts';
import { prerequisites } from './plan.ts';
import type { Outputs, Parameters, Step } from './plan.ts';

function aStep(id: string, change: Partial<Step> = {}): Step {
  return {
    id,
    operation: 'Call',
    parameters: {},
    subject: id,
    reason: 'because',
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
    ...change,
  };
}

function refusal(kind: ErrorKind, action: string | undefined = 'Call'): SluiceError {
  return new SluiceError(kind, `refused as ${kind}`, { code: 'Refused', action });
}

interface Setting {
  readonly parallel?: number;
  /** Step id → what its call answers with. A call takes 10 ms unless `ms` says otherwise. */
  readonly refuse?: Readonly<Record<string, unknown>>;
  readonly ms?: Readonly<Record<string, number>>;
  readonly split?: (step: Step, parameters: Parameters, error: SluiceError) => readonly Step[] | undefined;
  readonly permit?: () => void;
  readonly signal?: AbortSignal;
  readonly onStart?: (id: string) => void;
}

interface Trace {
  /** `+id` at each start, `-id` at each end. */
  readonly log: string[];
  readonly attempts: string[];
}

async function run(
  steps: readonly Step[],
  { parallel = 4, refuse = {}, ms = {}, split = () => undefined, signal, permit, onStart }: Setting = {},
): Promise<Execution<readonly string[]> & Trace> {
  const clock = new VirtualClock();
  const log: string[] = [];
  const attempts: string[] = [];
  const running = execute<readonly string[]>({
    provider: {
      parallel,
      split,
      apply: async (step): Promise<Outputs> => {
        log.push(`+${step.id}`);
        onStart?.(step.id);
        await new Promise<void>((resolve) => clock.schedule(ms[step.id] ?? 10, resolve));
        log.push(`-${step.id}`);
        const error = refuse[step.id];
        if (error !== undefined) throw error;
        return { Id: `id-of-${step.id}` };
      },
      advance: (observed, step, parameters) => [
        ...observed,
        [step.id, ...Object.values(parameters).map(String)].join(' '),
      ],
    },
    observed: [],
    steps,
    signal: signal ?? new AbortController().signal,
    clock,
    ...(permit ? { permit } : {}),
    onStep: ({ step, ms: took, error }) => attempts.push(`${step.id} ${took} ${error?.code ?? 'ok'}`),
  });
  // Whoever awaits the result sees a rejection; here it only must not count as unhandled while time passes.
  running.catch(() => {});
  await clock.advance(100_000);
  return { ...(await running), log, attempts };
}

const ids = (steps: readonly Step[]): string => steps.map(({ id }) => id).join(' ');
const doneIds = ({ done }: Execution): string => ids(done.map(({ step }) => step));
const failedIds = ({ failed }: Execution): string => ids(failed.map(({ step }) => step));

describe('order', () => {
  test('a step starts when all it needs has succeeded, and gets the answers it refers to', async () => {
    const result = await run([
      aStep('group'),
      aStep('listener', { parameters: { Arn: { $ref: 'group.Id' } } }),
      aStep('targets', { needs: ['listener'] }),
    ]);
    expect(result.log.join(' ')).toBe('+group -group +listener -listener +targets -targets');
    expect(result.observed).toEqual(['group', 'listener id-of-group', 'targets']);
    expect(result.done.map(({ parameters }) => parameters)[1]).toEqual({ Arn: 'id-of-group' });
  });

  test('as many additive steps run at once as the provider allows, in list order', async () => {
    const { log } = await run([aStep('a'), aStep('b'), aStep('c')], { parallel: 2, ms: { a: 30 } });
    expect(log.join(' ')).toBe('+a +b -b +c -c -a');
  });

  test('one after another where the provider wants that', async () => {
    const { log } = await run([aStep('a'), aStep('b')], { parallel: 1 });
    expect(log.join(' ')).toBe('+a -a +b -b');
  });

  test('a step that waits for another does not hold up those behind it', async () => {
    const { log } = await run([aStep('a'), aStep('b', { needs: ['a'] }), aStep('c')]);
    expect(log.join(' ')).toBe('+a +c -a +b -c -b');
  });

  test('a step with a risk starts when everything before it has finished, and runs alone', async () => {
    const { log } = await run([
      aStep('a', {}),
      aStep('b', { needs: ['a'] }),
      aStep('remove', { risk: 'disruptive' }),
      aStep('c'),
      aStep('delete', { risk: 'destructive' }),
    ]);
    expect(log.join(' ')).toBe('+a -a +b -b +remove -remove +c -c +delete -delete');
  });

  test('the length of each call is told, in milliseconds', async () => {
    const { attempts, done } = await run([aStep('a'), aStep('b')], { ms: { a: 25 } });
    expect(attempts).toEqual(['b 10 ok', 'a 25 ok']);
    expect(done.map(({ ms }) => ms)).toEqual([10, 25]);
  });
});

describe('a step that fails', () => {
  test('takes with it what needs it, and nothing else: two of three listeners stay', async () => {
    const result = await run(
      [
        aStep('balancer'),
        ...[1, 2, 3].map((n) => aStep(`listener${n}`, { parameters: { Arn: { $ref: 'balancer.Id' } } })),
        aStep('certificate', { needs: ['listener3'] }),
        aStep('tags', { needs: ['certificate'] }),
      ],
      { refuse: { listener3: refusal('invalid') } },
    );
    expect(doneIds(result)).toBe('balancer listener1 listener2');
    expect(failedIds(result)).toBe('listener3');
    expect(ids(result.skipped)).toBe('certificate tags');
    expect(result.observed).not.toContain('listener3 id-of-balancer');
  });

  test('does not hold up a step with a risk that stands behind what is skipped', async () => {
    const result = await run(
      [
        aStep('a'),
        aStep('b', { needs: ['a'] }),
        aStep('c', { needs: ['b'] }),
        aStep('d', { risk: 'disruptive' }),
      ],
      { refuse: { a: refusal('invalid') } },
    );
    expect([doneIds(result), ids(result.skipped)]).toEqual(['d', 'b c']);
  });

  test('a step that needs one which is not in the list is skipped', async () => {
    const result = await run([
      aStep('a', { needs: ['held'] }),
      aStep('b', { parameters: { x: { $ref: 'a.Id' } } }),
      aStep('c'),
    ]);
    expect([doneIds(result), ids(result.skipped)]).toEqual(['c', 'a b']);
  });

  const rows: readonly [ErrorKind, string | undefined, 'ends the plan' | 'lets the rest go on'][] = [
    ['throttled', 'Call', 'ends the plan'],
    ['ambiguous', 'Call', 'ends the plan'],
    ['bug', undefined, 'ends the plan'],
    ['denied', undefined, 'ends the plan'],
    ['denied', 'Call', 'lets the rest go on'],
    ['busy', 'Call', 'lets the rest go on'],
    ['gone', 'Call', 'lets the rest go on'],
    ['conflict', 'Call', 'lets the rest go on'],
    ['transient', 'Call', 'lets the rest go on'],
    ['quota', 'Call', 'lets the rest go on'],
    ['invalid', 'Call', 'lets the rest go on'],
  ];
  test.each(rows)('%s (action %s) %s', async (kind, action, then) => {
    const error = new SluiceError(kind, 'no', { code: 'No', action });
    const result = await run([aStep('a'), aStep('b')], { parallel: 1, refuse: { a: error } });
    expect(ids(result.skipped)).toBe(then === 'ends the plan' ? 'b' : '');
    expect(result.failed[0]?.error).toBe(error);
  });

  test('what is under way when the plan ends is waited for and counted', async () => {
    const result = await run([aStep('a'), aStep('b'), aStep('c')], {
      parallel: 2,
      ms: { b: 50 },
      refuse: { a: refusal('throttled') },
    });
    expect([doneIds(result), failedIds(result), ids(result.skipped)]).toEqual(['b', 'a', 'c']);
  });

  test('what a door failed to classify is a defect, as data', async () => {
    const result = await run([aStep('a')], { refuse: { a: new TypeError('x is undefined') } });
    expect(result.failed[0]?.error).toMatchObject({ kind: 'bug', message: 'x is undefined' });
  });
});

describe('what is gone already', () => {
  const gone = { x: refusal('gone') };
  test('counts as deleted', async () => {
    const result = await run([aStep('x', { risk: 'destructive' }), aStep('y', { needs: ['x'] })], {
      refuse: gone,
    });
    expect([doneIds(result), failedIds(result)]).toEqual(['x y', '']);
    expect(result.observed).toEqual(['x', 'y']);
    expect(result.attempts[0]).toBe('x 10 ok');
  });
  test('counts as deregistered', async () => {
    const effect = { kind: 'removeTargets', group: 'g', healthyRemoved: 1, healthyBefore: 4 } as const;
    expect(doneIds(await run([aStep('x', { risk: 'disruptive', effect })], { refuse: gone }))).toBe('x');
  });
  test('is a failure where something was to be changed', async () => {
    expect(failedIds(await run([aStep('x', { risk: 'disruptive' })], { refuse: gone }))).toBe('x');
  });
});

describe('a batch that is refused', () => {
  /** Targets are the letters of the id after the dot; halves until one is left, which is given up. */
  const bisect: Setting['split'] = (step) => {
    const [name, letters = ''] = step.id.split('.');
    if (letters.length === 1) return [];
    const half = Math.ceil(letters.length / 2);
    return [letters.slice(0, half), letters.slice(half)].map((part) => aStep(`${name}.${part}`));
  };
  const refuseAll = (bad: string, letters: string): Record<string, unknown> => {
    const refuse: Record<string, unknown> = {};
    for (let from = 0; from < letters.length; from += 1) {
      for (let to = from + 1; to <= letters.length; to += 1) {
        const part = letters.slice(from, to);
        if (part.includes(bad)) refuse[`r.${part}`] = refusal('invalid');
      }
    }
    return refuse;
  };

  test('is split until only the bad target is left out, and what needs it goes on', async () => {
    const result = await run([aStep('r.abcdefgh'), aStep('next', { needs: ['r.abcdefgh'] })], {
      split: bisect,
      refuse: refuseAll('f', 'abcdefgh'),
    });
    expect(doneIds(result)).toBe('r.abcd r.e r.gh next');
    expect(failedIds(result)).toBe('r.f');
    expect(result.skipped).toEqual([]);
  });

  test('a piece whose forerunner was not accepted as a whole is given up without a try', async () => {
    /** As `bisect`, each half only after the one before. */
    const fill: Setting['split'] = (step, parameters, error) => {
      const [first, second] = bisect(step, parameters, error) ?? [];
      return first && second ? [first, { ...second, needs: [first.id] }] : [];
    };
    const full = Object.fromEntries(
      ['r.abcdefgh', 'r.efgh', 'r.ef', 'r.f'].map((id) => [id, refusal('quota')]),
    );
    const result = await run([aStep('r.abcdefgh'), aStep('next', { needs: ['r.abcdefgh'] })], {
      split: fill,
      refuse: full,
    });
    expect(doneIds(result)).toBe('r.abcd r.e next');
    expect(failedIds(result)).toBe('r.f r.gh');
    expect(result.log.filter((line) => line.includes('gh') && !line.includes('f'))).toEqual([]);
    expect(result.failed.map(({ error }) => error.kind)).toEqual(['quota', 'quota']);
  });

  test('is a failure when it cannot be split', async () => {
    const result = await run([aStep('a'), aStep('b', { needs: ['a'] })], { refuse: { a: refusal('quota') } });
    expect([failedIds(result), ids(result.skipped)]).toEqual(['a', 'b']);
  });

  test('counts as failed when one of its pieces fails for another reason', async () => {
    const result = await run([aStep('r.ab'), aStep('next', { needs: ['r.ab'] })], {
      split: bisect,
      refuse: { 'r.ab': refusal('invalid'), 'r.b': refusal('transient') },
    });
    expect([doneIds(result), failedIds(result), ids(result.skipped)]).toEqual(['r.a', 'r.b', 'next']);
  });

  test('is not asked to split for errors that no split can mend', async () => {
    const result = await run([aStep('r.ab')], { split: bisect, refuse: { 'r.ab': refusal('conflict') } });
    expect(result.log).toEqual(['+r.ab', '-r.ab']);
  });

  test('ends, even when the provider splits for ever', async () => {
    const result = await run([aStep('a')], {
      split: (step) => [aStep(`${step.id}x`)],
      refuse: new Proxy({}, { get: () => refusal('invalid') }),
      ms: new Proxy({}, { get: () => 1 }),
    });
    expect(result.log.length / 2).toBe(513);
    expect(result.failed).toHaveLength(1);
  });
});

describe('leave to write', () => {
  test('an abort stops before the next step, waits for the present one and is thrown', async () => {
    const abort = new AbortController();
    const started: string[] = [];
    const running = run([aStep('a'), aStep('b'), aStep('c')], {
      parallel: 1,
      signal: abort.signal,
      onStart: (id) => {
        started.push(id);
        if (id === 'b') abort.abort(new Error('lease lost'));
      },
    });
    await expect(running).rejects.toThrow('lease lost');
    expect(started).toEqual(['a', 'b']);
  });

  test('is asked for before every call, and its refusal is thrown', async () => {
    const started: string[] = [];
    let calls = 0;
    const running = run([aStep('a'), aStep('b'), aStep('c')], {
      parallel: 1,
      onStart: (id) => started.push(id),
      permit: () => {
        calls += 1;
        if (calls === 2) throw new Error('not the leader');
      },
    });
    await expect(running).rejects.toThrow('not the leader');
    expect(started).toEqual(['a']);
  });

  test('nothing is tried when the signal has fired before', async () => {
    const started: string[] = [];
    const running = run([aStep('a')], {
      signal: AbortSignal.abort('over'),
      onStart: (id) => started.push(id),
    });
    await expect(running).rejects.toBe('over');
    expect(started).toEqual([]);
  });
});

describe('whatever the plan and the answers', () => {
  const kinds = fc.constantFrom<ErrorKind | 'ok'>(
    'ok',
    'ok',
    'ok',
    'transient',
    'denied',
    'busy',
    'throttled',
  );
  const drawn = fc.array(
    fc.record({
      needs: fc.array(fc.nat({ max: 8 }), { maxLength: 2 }),
      risk: fc.constantFrom<Step['risk']>('none', 'none', 'none', 'disruptive'),
      answer: kinds,
      ms: fc.integer({ min: 1, max: 50 }),
    }),
    { maxLength: 9 },
  );
  test.prop([drawn, fc.integer({ min: 1, max: 4 })])(
    'every step ends exactly once, after what it needs, and risky ones alone',
    async (rows, parallel) => {
      const steps = rows.map(({ needs, risk }, i) =>
        aStep(`s${i}`, { risk, needs: needs.filter((n) => n < i).map((n) => `s${n}`) }),
      );
      const refuse = Object.fromEntries(
        rows.flatMap(({ answer }, i) => (answer === 'ok' ? [] : [[`s${i}`, refusal(answer)]])),
      );
      const ms = Object.fromEntries(rows.map((row, i) => [`s${i}`, row.ms]));
      const result = await run(steps, { parallel, refuse, ms });

      const ended = [...result.done, ...result.failed].map(({ step }) => step);
      expect([...ended, ...result.skipped].map(({ id }) => id).toSorted()).toEqual(
        steps.map(({ id }) => id).toSorted(),
      );
      for (const step of ended) {
        const start = result.log.indexOf(`+${step.id}`);
        const end = result.log.indexOf(`-${step.id}`);
        expect(result.log.lastIndexOf(`+${step.id}`)).toBe(start);
        for (const need of prerequisites(step)) {
          expect(result.log.slice(0, start)).toContain(`-${need}`);
          expect(result.done.map((one) => one.step.id)).toContain(need);
        }
        if (step.risk !== 'none') expect(end).toBe(start + 1);
      }
      let open = 0;
      for (const entry of result.log) {
        open += entry.startsWith('+') ? 1 : -1;
        expect(open).toBeLessThanOrEqual(parallel);
      }
    },
  );
});
