/** A bandwidth is sent where it counts, told where it does not, and refused where it never can. */
import { describe, expect, test } from 'vitest';
import { aService } from '../../src/core/fixtures.ts';
import { AlibabaBench, anEcsNode } from '../../test/support/alibaba-bench.ts';
import type { ClusterState } from '../../test/support/alibaba-bench.ts';
import { orderIn } from './ordered.ts';

const base = 'service.beta.kubernetes.io/';
const modern = `${base}alibaba-cloud-loadbalancer-`;
const legacy = `${base}alicloud-loadbalancer-bandwidth`;
const tutorial = `${base}alicloud-load-balancer-bandwidth`;
const paid = { [`${modern}charge-type`]: 'paybybandwidth', [`${modern}instance-charge-type`]: 'PayBySpec' };

function state(annotations: Readonly<Record<string, string>>): ClusterState {
  return { service: aService({ annotations }), nodes: [anEcsNode('n1')], slices: [] };
}

function bandwidthOf(bench: AlibabaBench): number | undefined {
  return bench.account.dump().loadBalancers[0]?.Bandwidth;
}

describe('all three spellings are read', () => {
  test.each([`${modern}bandwidth`, legacy, tutorial])('%s', async (key) => {
    const bench = new AlibabaBench();
    await bench.ensure(state({ ...paid, [key]: '10' }));
    expect(bandwidthOf(bench)).toBe(10);
  });

  test('where they differ the newest wins, and the other is told (h.1)', () => {
    const bench = new AlibabaBench();
    const { service } = state({ ...paid, [tutorial]: '10', [`${modern}bandwidth`]: '20' });
    const { settings, problems } = bench.provider.parse(service);
    expect(settings.bandwidth).toBe(20);
    expect(problems).toMatchObject([
      { severity: 'warning', reason: 'IneffectiveSetting', field: `metadata.annotations["${tutorial}"]` },
    ]);
  });

  test('a spelling that nobody has is not known (h.1)', () => {
    const key = `${base}alicloud-load_balancer-bandwidth`;
    const { problems } = new AlibabaBench().provider.parse(state({ [key]: '10' }).service);
    expect(problems).toMatchObject([{ severity: 'warning', reason: 'UnknownAnnotation' }]);
  });
});

describe('a value that is no number of Mbit/s is refused (h.2)', () => {
  test.each(['10M', '0', '-1', ' 10', '1e2', '6000', '', '+5', '5121', '010'])('"%s"', (text) => {
    const { problems } = new AlibabaBench().provider.parse(state({ ...paid, [tutorial]: text }).service);
    expect(problems).toMatchObject([{ severity: 'error', reason: 'InvalidAnnotation' }]);
    expect(problems[0]?.cure).toContain('1 to 5120');
  });
});

describe('effective', () => {
  test('it is sent at creation and kept in step with what the balancer has', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    expect((await bench.ensure(state({ ...paid, [tutorial]: '25' }))).writes).toEqual([
      'ModifyLoadBalancerInternetSpec',
    ]);
    expect(bandwidthOf(bench)).toBe(25);
    expect((await bench.ensure(state({ ...paid, [tutorial]: '25' }))).plan).toMatchObject({
      steps: [],
      problems: [],
    });
  });

  test('what somebody changes in the console is put right, also to a value that is a default', async () => {
    const bench = new AlibabaBench();
    const wanted = state({ ...paid, [tutorial]: '1' });
    const { after } = await bench.ensure(wanted);
    bench.account.byHand('ModifyLoadBalancerInternetSpec', {
      LoadBalancerId: after.balancer?.id,
      Bandwidth: 7,
    });
    await bench.clock.advance(26 * 3_600_000);
    await bench.ensure(wanted);
    expect(bandwidthOf(bench)).toBe(1);
  });

  test('without the annotation the balancer keeps what it has', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    expect((await bench.ensure(state(paid))).writes).toEqual([]);
    expect(bandwidthOf(bench)).toBe(10);
  });

  test('an existing balancer takes up to 5000: the refusal of more is passed on with the parameter named', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    const { failed } = await bench.ensure(state({ ...paid, [tutorial]: '5100' }));
    expect(failed[0]?.error).toMatchObject({ kind: 'invalid', code: 'InvalidParameter.Bandwidth' });
  });
});

describe('not effective: the address is assigned, and the charge type that would help is named', () => {
  test.each([
    ['no charge type', {}],
    ['by traffic', { [`${modern}charge-type`]: 'paybytraffic' }],
    ['intranet', { [`${modern}address-type`]: 'intranet' }],
  ])('%s', async (_name, annotations) => {
    const bench = new AlibabaBench();
    const wanted = state({ ...annotations, [tutorial]: '10' });
    const { plan, after, failed } = await bench.ensure(wanted);
    expect(failed).toEqual([]);
    expect(plan.problems).toMatchObject([
      { severity: 'warning', reason: 'BandwidthNotEffective', field: `metadata.annotations["${tutorial}"]` },
    ]);
    expect(`${plan.problems[0]?.message} ${plan.problems[0]?.cure}`).toContain('paybybandwidth');
    expect(bench.provider.addresses(bench.wanted(wanted), after)).toMatchObject({ kind: 'ready' });
    const create = bench.account.calls().find(({ operation }) => operation === 'CreateLoadBalancer');
    expect(create?.input).not.toHaveProperty('Bandwidth');
    // No loop that tries to apply it.
    expect((await bench.ensure(wanted)).writes).toEqual([]);
  });
});

describe('impossible: refused before any call, with the way out', () => {
  test.each([
    [
      'with PayByCLCU',
      { [`${modern}charge-type`]: 'paybybandwidth', [`${modern}instance-charge-type`]: 'PayByCLCU' },
    ],
    ['with what is the default', { [`${modern}charge-type`]: 'paybybandwidth' }],
  ])('%s', (_name, annotations) => {
    const { problems } = new AlibabaBench().provider.parse(
      state({ ...annotations, [tutorial]: '10' }).service,
    );
    expect(problems).toMatchObject([{ severity: 'error', reason: 'ConflictingSettings' }]);
    expect(problems[0]?.cure).toContain('instance-charge-type to PayBySpec');
  });

  test('on a balancer that pays for usage already: told, no call, the rest goes on', async () => {
    const bench = new AlibabaBench();
    await bench.ensure(state({}));
    const { plan, writes } = await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    expect(writes).toEqual([]);
    expect(plan.problems).toMatchObject([{ severity: 'error', reason: 'ImmutableSetting' }]);
  });
});

describe('an order that counts from the next day', () => {
  const day = 24 * 3_600_000;
  const spec = { [`${modern}instance-charge-type`]: 'PayBySpec' };
  const orders = (bench: AlibabaBench) =>
    bench.account.calls().filter(({ operation }) => operation === 'ModifyLoadBalancerInternetSpec').length;

  test.each([
    ['in this process', () => undefined],
    ['by the process that comes after', (bench: AlibabaBench) => bench.restart()],
  ])('is made once and waited for, %s', async (_who, meanwhile) => {
    const bench = new AlibabaBench({ settings: { chargesNextDay: true } });
    await bench.ensure(state(spec));
    const wanted = state({ ...paid, [tutorial]: '10' });
    const { failed } = await bench.ensure(wanted);
    expect(failed).toEqual([]);
    for (let hour = 0; hour < 30; hour += 1) {
      meanwhile(bench);
      expect((await bench.ensure(wanted)).plan.steps).toEqual([]);
      await bench.clock.advance(3_600_000);
    }
    expect(orders(bench)).toBe(1);
    expect(bandwidthOf(bench)).toBe(10);
    // From then on the cloud is the better witness, and what somebody changes by hand is put right.
    const LoadBalancerId = bench.account.dump().loadBalancers[0]?.LoadBalancerId;
    bench.account.byHand('ModifyLoadBalancerInternetSpec', { LoadBalancerId, Bandwidth: 7 });
    await bench.ensure(wanted);
    expect(bandwidthOf(bench)).toBe(10);
  });

  test('another value in between replaces it', async () => {
    const bench = new AlibabaBench({ settings: { chargesNextDay: true } });
    await bench.ensure(state(spec));
    await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    bench.restart();
    await bench.ensure(state({ ...paid, [tutorial]: '25' }));
    bench.restart();
    expect((await bench.ensure(state({ ...paid, [tutorial]: '25' }))).plan.steps).toEqual([]);
    await bench.clock.advance(2 * day);
    expect(bandwidthOf(bench)).toBe(25);
    expect(orders(bench)).toBe(2);
  });

  test('one that never came into force is made again after that day', async () => {
    const bench = new AlibabaBench({ settings: { chargesNextDay: true } });
    await bench.ensure(state(spec));
    await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    bench.restart();
    const LoadBalancerId = bench.account.dump().loadBalancers[0]?.LoadBalancerId;
    await bench.clock.advance(26 * 3_600_000);
    bench.account.byHand('ModifyLoadBalancerInternetSpec', {
      LoadBalancerId,
      InternetChargeType: 'paybytraffic',
    });
    await bench.clock.advance(day);
    await bench.ensure(state({ ...paid, [tutorial]: '10' }));
    expect(orders(bench)).toBe(3);
  });

  test.each(['', 'paybybandwidth 10', 'paybybandwidth x 1', 'paybybandwidth 10 99999999999', 'free 10 1'])(
    'a tag that says "%s" says nothing',
    (text) => {
      expect(orderIn(text, Date.UTC(2026, 0, 1))).toEqual({});
    },
  );
});
