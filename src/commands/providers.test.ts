/** The providers of this build, brought up without a call to anywhere. */
import { expect, test } from 'vitest';
import { seededRandom } from '../core/clock.ts';
import { aService } from '../core/fixtures.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { allProviders, startProviders, usualSettings } from './providers.ts';

const parts = {
  clock: new VirtualClock(),
  random: seededRandom(1),
  onCall: () => {
    throw new Error('nothing may be called');
  },
};

test('the usual settings have no mistake and configure every provider of the build', async () => {
  const { providers } = await usualSettings();
  expect([...providers.keys()]).toEqual(['aws', 'alibaba', 'local']);
});

test('every provider is named after itself and serves the class of its name', async () => {
  const running = await allProviders();
  for (const [name, provider] of running.providers) {
    expect(provider.name).toBe(name);
    expect(provider.loadBalancerClass).toBe(`sluice.dev/${name}`);
  }
  running.close();
});

test('annotations are checked without an account', async () => {
  const running = await startProviders(await usualSettings(), parts);
  const annotations = { 'service.beta.kubernetes.io/aws-load-balancer-scheme': 'public' };
  const { problems } = running.providers.get('aws')?.parse(aService({ annotations })) ?? { problems: [] };
  expect(problems).toMatchObject([{ severity: 'error', reason: 'InvalidAnnotation' }]);
  running.close();
});

test('local mode without a cluster can be asked what it understands, and reads nothing', async () => {
  const running = await startProviders(await usualSettings(), parts);
  const local = running.providers.get('local');
  const service = aService({ loadBalancerIP: 'nowhere' });
  expect(local?.parse(service).problems).toMatchObject([{ severity: 'error', field: 'spec.loadBalancerIP' }]);
  const owner = { cluster: { name: 'c', id: 'c' }, service: service.key, uid: service.uid };
  const look = { owner, depth: 'full', wanted: undefined, previous: undefined } as const;
  await expect(local?.observe({ ...look, signal: new AbortController().signal })).rejects.toMatchObject({
    code: 'NotListed',
  });
  running.close();
});
