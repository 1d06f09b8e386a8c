import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/core/clock.ts';
import { Store, type AnyRecord, type ListenerRecord } from './store.ts';

function listener(arn: string, seq: number, port: number): ListenerRecord {
  return {
    kind: 'listener',
    arn,
    seq,
    createdAt: 0,
    tags: {},
    attributes: {},
    loadBalancerArn: 'lb',
    protocol: 'TCP',
    port,
    actions: [],
    certificate: undefined,
    extraCertificates: [],
    sslPolicy: undefined,
    alpnPolicy: undefined,
  };
}

test('every earlier state that the journal reaches can be rebuilt, in the order of creation', () => {
  const random = seededRandom(3);
  const store = new Store(200);
  const states = new Map<number, readonly AnyRecord[]>();
  const seqs = new Map<string, number>();
  for (let step = 0; step < 180; step += 1) {
    states.set(store.version, [...store.all('listener')]);
    const arn = `l${Math.floor(random() * 6)}`;
    const existing = store.get('listener', arn);
    if (existing !== undefined && random() < 0.4) {
      store.remove(existing, step);
      seqs.delete(arn);
      continue;
    }
    const seq = seqs.get(arn) ?? store.nextSeq();
    seqs.set(arn, seq);
    store.put(listener(arn, seq, step), step);
  }
  for (const [version, records] of states) {
    expect([...store.asOf(version).all('listener')], `version ${version}`).toEqual(records);
  }
});

test('the version of a moment is the one after its last change', () => {
  const store = new Store(100);
  store.put(listener('a', 1, 1), 10);
  store.put(listener('b', 2, 1), 20);
  store.put(listener('c', 3, 1), 20);
  expect([9, 10, 19, 20, 21].map((time) => store.versionAt(time))).toEqual([0, 1, 1, 3, 3]);
});

test('a journal that is full forgets its oldest changes, and versions go on', () => {
  const store = new Store(10);
  for (let step = 1; step <= 500; step += 1) store.put(listener('a', 1, step), step);
  expect(store.version).toBe(500);
  expect(store.changesSince(498).map((change) => change.at)).toEqual([499, 500]);
  expect(store.changesSince(0).length).toBeGreaterThanOrEqual(10);
  expect(store.changesSince(0).length).toBeLessThan(100);
});
