/**
 * A token that ends in the middle of a pass (h.15), at every place where it can: the pass goes on with the next
 * one, nothing is made twice, and no error holds a secret.
 */
import { expect, test } from 'vitest';
import type { CredentialSource } from '../../providers/alibaba/credentials/source.ts';
import { createAlibabaProvider } from '../../providers/alibaba/provider.ts';
import type { Secret } from '../../providers/alibaba/simulator/signature.ts';
import { seededRandom, systemClock } from '../../src/core/clock.ts';
import { execute } from '../../src/core/execute.ts';
import { aService } from '../../src/core/fixtures.ts';
import { anEcsNode, testAlibabaConfig } from '../support/alibaba-bench.ts';
import { clientTo, serve } from './slb-support.ts';

const cluster = { name: 'test', id: 'cluster-1' };
const signal = new AbortController().signal;
const service = aService();
const owner = { cluster, service: service.key, uid: service.uid };

/** A world whose tokens are numbered, and only the newest is accepted. */
async function world(renewable: boolean) {
  const secrets = new Map<string, Secret>();
  let number = 0;
  const rotate = (): void => {
    // As the cloud has it: the key is known, its token has ended.
    for (const [id, secret] of secrets) secrets.set(id, { ...secret, securityToken: 'ended' });
    number += 1;
    secrets.set(`STS.${number}`, {
      accessKeySecret: `planted-secret-${number}`,
      securityToken: `planted-token-${number}`,
    });
  };
  rotate();
  let issues = 0;
  const source: CredentialSource = {
    name: 'test',
    renewable,
    issue: () => {
      issues += 1;
      return Promise.resolve({
        accessKeyId: `STS.${number}`,
        accessKeySecret: `planted-secret-${number}`,
        securityToken: `planted-token-${number}`,
        expiresAt: Date.now() + 3_600_000,
      });
    },
  };
  const served = await serve({ secrets });
  const client = clientTo(served.server.url, source);
  const provider = createAlibabaProvider({
    client,
    config: testAlibabaConfig(),
    clock: systemClock,
    random: seededRandom(1),
  });
  const pass = async () => {
    const { settings } = provider.parse(service);
    const nodes = [anEcsNode('n1')];
    const { wanted } = provider.want(settings, { cluster, service, services: [service], nodes, slices: [] });
    const observed = await provider.observe({ owner, depth: 'full', wanted, previous: undefined, signal });
    const plan = provider.plan({ kind: 'present', wanted }, observed, { owner, now: 0, memory: {} });
    const { failed } = await execute({ provider, observed, steps: plan.steps, signal, clock: systemClock });
    return { plan, failed };
  };
  return {
    ...served,
    pass,
    rotate,
    issues: () => issues,
    end: async () => {
      client.close();
      await served.close();
    },
  };
}

test('wherever it ends, the pass is carried on with the next token and made whole, once', async () => {
  const plain = await world(true);
  await plain.pass();
  const calls = plain.account.calls().length;
  await plain.end();
  expect(calls).toBeGreaterThan(4);
  for (let at = 1; at <= calls; at += 1) {
    const { account, pass, rotate, issues, end } = await world(true);
    account.faults.order({ nth: at, times: 1, effect: { kind: 'hook', after: rotate } });
    const { failed } = await pass();
    expect(failed, `after call ${at}`).toEqual([]);
    expect((await pass()).plan.steps, `after call ${at}`).toEqual([]);
    expect(issues()).toBe(2);
    expect(account.resources().map(({ kind }) => kind)).toEqual(['load-balancer', 'group', 'listener']);
    await end();
  }
});

test('a key that nobody renews is refused once for each call, in words without a secret', async () => {
  const { account, pass, rotate, issues, end } = await world(false);
  account.faults.order({
    match: { operation: 'CreateLoadBalancer' },
    effect: { kind: 'hook', after: rotate },
  });
  const { failed } = await pass();
  expect(failed.length).toBeGreaterThan(0);
  for (const { error } of failed) {
    expect(error.kind).toBe('denied');
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain('planted');
  }
  expect(issues()).toBe(1);
  await end();
});
