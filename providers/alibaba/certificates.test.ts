/** Certificates are looked at before they are put in use, and before they end. */
import { describe, expect, test } from 'vitest';
import { aPort, aService } from '../../src/core/fixtures.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';
import type { SettingsInput } from './simulator/settings.ts';

const prefix = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
const both = [
  aPort({ name: 'a', port: 80, nodePort: 30_080 }),
  aPort({ name: 'b', port: 443, nodePort: 30_443 }),
];

function state(annotations: Readonly<Record<string, string>>, ports = both.slice(1)): ClusterState {
  const prefixed = Object.entries(annotations).map(([word, value]) => [`${prefix}${word}`, value]);
  const service = aService({ ports, annotations: Object.fromEntries(prefixed) });
  return { service, nodes: [anEcsNode('n1')], slices: [] };
}

const https = (certificate: string): ClusterState =>
  state({ 'protocol-port': 'https:443', 'cert-id': certificate });

function world(settings: SettingsInput = {}): AlibabaBench {
  return new AlibabaBench({
    settings: { certificates: ['good', 'old'], expiredCertificates: ['old'], ...settings },
  });
}

function listeners(bench: AlibabaBench): readonly string[] {
  return (bench.account.dump().loadBalancers[0]?.Listeners ?? []).map(
    ({ ListenerPort, ListenerProtocol, HTTPSListenerConfig }) =>
      `${ListenerPort}/${ListenerProtocol} ${(HTTPSListenerConfig?.['ServerCertificateId'] as string | undefined) ?? ''}`.trim(),
  );
}

describe('one that is no good is not put in use', () => {
  test.each([
    ['expired', 'old', 'expired on '],
    ['not there', 'elsewhere', 'is not in the account'],
  ])('%s: no listener is made with it, the balancer is, and the user is told', async (_name, id, words) => {
    const bench = world();
    const { plan, failed } = await bench.ensure(https(id));
    expect(failed).toEqual([]);
    expect(plan.problems).toMatchObject([{ severity: 'error', reason: 'CertificateUnusable' }]);
    expect(plan.problems[0]?.message).toContain(words);
    expect(listeners(bench)).toEqual([]);
    expect((await bench.ensure(https(id))).writes).toEqual([]);
    expect((await bench.ensure(https('good'))).failed).toEqual([]);
    expect(listeners(bench)).toEqual(['443/https good']);
  });

  test('a listener keeps the good one that it has, and all else about it goes on', async () => {
    const bench = world();
    await bench.ensure(https('good'));
    const asked = { 'protocol-port': 'https:443', 'cert-id': 'old', 'idle-timeout': '30' };
    const { plan } = await bench.ensure(state(asked));
    expect(plan.problems).toMatchObject([{ reason: 'CertificateUnusable' }]);
    expect(plan.problems[0]?.message).toContain('good stays in use');
    expect(listeners(bench)).toEqual(['443/https good']);
    expect(bench.account.dump().loadBalancers[0]?.Listeners[0]?.HTTPSListenerConfig).toMatchObject({
      IdleTimeout: 30,
    });
  });

  test('a tcp listener that was to become https stays until it can', async () => {
    const bench = world();
    await bench.ensure(state({}));
    const { writes } = await bench.ensure(https('old'));
    expect(writes.filter((one) => one.startsWith('Delete'))).toEqual([]);
    expect(listeners(bench)).toEqual(['443/tcp']);
  });

  test('what would send callers to it waits too', async () => {
    const bench = world();
    const asked = { 'protocol-port': 'http:80,https:443', 'cert-id': 'old', 'forward-port': '80:443' };
    expect((await bench.ensure(state(asked, both))).failed).toEqual([]);
    expect(listeners(bench)).toEqual([]);
  });
});

test('one in use is told of 30 days before it ends, and when it has', async () => {
  const bench = world({ certificateLifeMs: 29 * 86_400_000 });
  const { plan } = await bench.ensure(https('good'));
  expect(plan.problems).toMatchObject([
    {
      severity: 'warning',
      reason: 'CertificateExpiring',
      message: expect.stringMatching(/expires on \d{4}-\d\d-\d\d$/u),
    },
  ]);
  bench.account.configure({ expiredCertificates: ['good'] });
  const after = await bench.ensure(https('good'));
  expect(after.writes).toEqual([]);
  expect(after.plan.problems).toMatchObject([{ severity: 'warning', reason: 'CertificateExpiring' }]);
  expect(listeners(bench)).toEqual(['443/https good']);
});

test('an account that does not let us look is served as before; a look that fails for a moment stops the pass', async () => {
  const bench = world();
  const refuse = (code: string): void => {
    bench.account.faults.order({
      match: { operation: 'DescribeServerCertificates' },
      times: 'until-cleared',
      effect: { kind: 'error', code },
    });
  };
  refuse('Forbidden.RAM');
  await bench.ensure(https('good'));
  expect(listeners(bench)).toEqual(['443/https good']);
  bench.account.faults.clear();
  refuse('InternalError');
  await expect(bench.ensure(https('good'))).rejects.toMatchObject({ kind: 'transient' });
});

test('a look costs one call at a full comparison, none at a quick one, none without https', async () => {
  const bench = world();
  const looks = (calls: readonly string[]) =>
    calls.filter((one) => one === 'DescribeServerCertificates').length;
  expect(looks((await bench.ensure(https('good'))).calls)).toBe(1);
  expect(looks((await bench.ensure(https('good'), 'quick')).calls)).toBe(0);
  expect(looks((await bench.ensure(https('good'))).calls)).toBe(1);
  expect(looks((await world().ensure(state({}))).calls)).toBe(0);
});
