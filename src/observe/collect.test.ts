import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { collectWhenIdle } from './collect.ts';

const mega = 2 ** 20;

/** A process whose memory and work are told by hand; each collection gives half of what came since back. */
function stage() {
  const clock = new VirtualClock();
  const state = { busy: false, resident: 80 * mega, collections: 0 };
  const end = collectWhenIdle({
    clock,
    idle: () => !state.busy,
    resident: () => state.resident,
    collect: () => {
      state.collections += 1;
      state.resident -= mega;
    },
  });
  return { clock, state, end };
}

test('a burst of work is followed by a collection once it is over, and by one more for what was let go since', async () => {
  const { clock, state, end } = stage();
  await clock.advance(20_000);
  const before = state.collections;
  state.busy = true;
  state.resident += 40 * mega;
  await clock.advance(10_000);
  expect(state.collections).toBe(before);
  state.busy = false;
  await clock.advance(30_000);
  expect(state.collections).toBe(before + 2);
  end();
});

test('a pause between two waves of work is no end of it', async () => {
  const { clock, state, end } = stage();
  await clock.advance(20_000);
  const before = state.collections;
  state.resident += 40 * mega;
  for (let wave = 0; wave < 5; wave += 1) {
    state.busy = true;
    await clock.advance(1_000);
    state.busy = false;
    await clock.advance(2_000);
  }
  expect(state.collections).toBe(before);
  end();
});

test('a process that has not grown is left alone, for hours', async () => {
  const { clock, state, end } = stage();
  await clock.advance(20_000);
  const before = state.collections;
  state.resident += 4 * mega;
  await clock.advance(3_600_000);
  expect(state.collections).toBe(before);
  end();
});

test('ended, it looks no more', async () => {
  const { clock, state, end } = stage();
  end();
  state.resident += 100 * mega;
  await clock.advance(60_000);
  expect(state.collections).toBe(0);
});

test('the collector of this very process takes what nobody holds', async () => {
  const clock = new VirtualClock();
  const unheld = new WeakRef({ size: 1 });
  // A held reference lasts until the end of the turn that made it.
  await new Promise((resolve) => setImmediate(resolve));
  let resident = 0;
  const end = collectWhenIdle({ clock, idle: () => true, resident: () => (resident += 10 * mega) });
  await clock.advance(10_000);
  expect(unheld.deref()).toBeUndefined();
  end();
});

test('a heap that may grow freely is collected less while much is kept, and about as before afterwards', () => {
  const collections = (before: string): number => {
    const script = `
      import { growFreely } from ${JSON.stringify(new URL('./collect.ts', import.meta.url).href)};
      ${before}
      const kept = [];
      for (let at = 0; at < 300_000; at += 1) kept.push([at, at, at, at]);
      console.log(kept.length);`;
    const args = ['--trace-gc', '--max-semi-space-size=16', '--input-type=module', '--eval', script];
    const out = execFileSync(process.execPath, args, { encoding: 'utf8' });
    expect(out).toContain('300000');
    return out.split('\n').filter((line) => line.includes('Scavenge')).length;
  };
  const freely = collections('growFreely();');
  expect(freely).toBeLessThan(collections(''));
  expect(freely).toBeLessThan(collections('growFreely()();'));
});
