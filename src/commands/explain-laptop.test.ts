import { describe, expect, test } from 'vitest';
import { laptopLines, laptopStory } from './explain-laptop.ts';
import type { PathCheck } from './path-check.ts';

const address = '127.80.1.2';
const refused: PathCheck = { kind: 'refused', port: 8080, from: '127.0.0.1' };

function story(path: PathCheck, here: string | undefined, ip = address) {
  return laptopStory({
    service: { ingress: [{ ip, ipMode: 'Proxy' }] },
    machine: 'desk-1',
    here,
    paths: new Map([[ip, path]]),
  });
}

describe('a Service that sluice local serves', () => {
  test.each<[string, PathCheck, string | undefined, string]>([
    ['its process was killed', refused, 'desk-1', 'npx sluice local'],
    ['another machine serves it', refused, 'couch-2', 'npx sluice local --take-over'],
    ['this machine never served anything', refused, undefined, 'npx sluice local --take-over'],
  ])('does not answer: %s', (_name, path, here, command) => {
    const told = story(path, here);
    expect(told).toMatchObject({ ok: false, command });
    expect(told.verdict).toContain(`nothing answers at ${address}`);
  });

  test.each<[string, PathCheck]>([
    ['answers', { kind: 'answered', port: 8080, ms: 1 }],
    ['has UDP only', { kind: 'not-tried', why: 'the Service has no TCP port' }],
  ])('is fine where it %s', (_name, path) => {
    expect(story(path, 'desk-1')).toMatchObject({ ok: true, command: '' });
  });

  test('is told in a few lines: who serves it, the way, what to run', () => {
    expect(laptopLines(story(refused, 'desk-1')).join('\n')).toMatch(
      /Served on {3}desk-1.*\n.*127\.80\.1\.2: from here port 8080 is refused.*\n.*Trouble.*\n.*Next {6}npx sluice local$/u,
    );
  });
});
