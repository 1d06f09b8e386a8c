import { expect, test } from 'vitest';
import { either } from './abort.ts';

const reason = new Error('enough');

test('fires with the reason of whichever source fires first', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const { signal } = either(one.signal, other.signal);
  expect(signal.aborted).toBe(false);
  other.abort(reason);
  one.abort(new Error('late'));
  expect(signal.reason).toBe(reason);
});

test('has fired already when a source has', () => {
  expect(either(new AbortController().signal, AbortSignal.abort(reason)).signal.reason).toBe(reason);
});

test('hears nothing any more once it is let go of', () => {
  const source = new AbortController();
  const both = either(source.signal);
  both[Symbol.dispose]();
  source.abort(reason);
  expect(both.signal.aborted).toBe(false);
});
