import { expect, test, vi } from 'vitest';
import { aService } from './fixtures.ts';
import { parsed } from './parsed.ts';

test('an object is parsed once by each provider, and its successor anew', () => {
  const parse = vi.fn(() => ({ settings: {}, problems: [] }));
  const [one, other] = [{ parse }, { parse }];
  const service = aService({});

  expect(parsed(one, service)).toBe(parsed(one, service));
  expect(parse).toHaveBeenCalledTimes(1);
  parsed(other, service);
  parsed(one, { ...service });
  expect(parse).toHaveBeenCalledTimes(3);
});
