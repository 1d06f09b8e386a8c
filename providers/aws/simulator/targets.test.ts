import { describe, expect, test } from 'vitest';
import type { SettingsInput } from './settings.ts';
import { bench, type Bench } from './testing.ts';

function inUse(settings?: SettingsInput, group: object = {}): Bench & { arn: string; balancer: string } {
  const made = bench(settings);
  const balancer = made.createLoadBalancer();
  const arn = made.createTargetGroup(group);
  made.createListener(balancer, arn);
  return { ...made, arn, balancer };
}

describe('RegisterTargets', () => {
  test.each([
    ['an instance', { Id: 'i-1' }, 'accepted'],
    ['a port of its own', { Id: 'i-1', Port: 31_000 }, 'accepted'],
    ['port 0', { Id: 'i-1', Port: 0 }, 'ValidationError'],
    ['what is no instance id', { Id: 'node-1' }, 'InvalidTarget'],
    ['a stopped instance', { Id: 'i-stopped' }, 'InvalidTarget'],
    ['a terminated instance', { Id: 'i-terminated' }, 'InvalidTarget'],
    ['an instance of another VPC', { Id: 'i-elsewhere' }, 'InvalidTarget'],
    ['a zone for an instance', { Id: 'i-1', AvailabilityZone: 'eu-west-1a' }, 'ValidationError'],
    ['a target without an id', {}, 'ValidationError'],
  ])('%s', (_what, target, code) => {
    const { account, codeOf, arn } = inUse();
    account.setInstance('i-stopped', { state: 'stopped' });
    account.setInstance('i-terminated', { state: 'terminated' });
    account.setInstance('i-elsewhere', { state: 'running', vpcId: 'vpc-2' });
    expect(codeOf('RegisterTargets', { TargetGroupArn: arn, Targets: [target] })).toBe(code);
  });

  test('one bad target refuses the whole call', () => {
    const { account, codeOf, health, arn } = inUse();
    account.setInstance('i-2', { state: 'stopped' });
    expect(codeOf('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }, { Id: 'i-2' }] })).toBe(
      'InvalidTarget',
    );
    expect(health(arn)).toEqual([]);
  });

  test('only instances that were set exist where that is wanted', () => {
    const { account, codeOf, arn } = inUse({ acceptUnknownInstances: false });
    account.setInstance('i-1', { state: 'running' });
    expect(codeOf('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] })).toBe('accepted');
    expect(codeOf('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-2' }] })).toBe(
      'InvalidTarget',
    );
  });

  test('one instance on two ports is two targets, and the same target again is none more', () => {
    const { account, call, health, arn } = inUse();
    const Targets = [{ Id: 'i-1' }, { Id: 'i-1', Port: 31_000 }];
    call('RegisterTargets', { TargetGroupArn: arn, Targets });
    const { version } = account;
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1', Port: 30_080 }] });
    expect(account.version).toBe(version);
    expect(health(arn)).toEqual(['i-1:30080 healthy', 'i-1:31000 healthy']);
  });

  test.each([
    ['per group', { targetsPerTargetGroup: 2 }],
    ['per balancer', { targetsPerLoadBalancer: 2 }],
  ])('the quota %s is kept', (_what, quotas) => {
    const { codeOf, arn } = inUse({ quotas });
    const Targets = [{ Id: 'i-1' }, { Id: 'i-2' }, { Id: 'i-3' }];
    expect(codeOf('RegisterTargets', { TargetGroupArn: arn, Targets })).toBe('TooManyTargets');
    expect(codeOf('RegisterTargets', { TargetGroupArn: arn, Targets: Targets.slice(1) })).toBe('accepted');
  });

  test('the quota per zone counts all zones as one while cross-zone balancing is on', () => {
    const { account, call, codeOf, arn, balancer } = inUse({ quotas: { targetsPerZonePerLoadBalancer: 1 } });
    account.setInstance('i-1', { state: 'running', zone: 'eu-west-1a' });
    account.setInstance('i-2', { state: 'running', zone: 'eu-west-1b' });
    account.setInstance('i-3', { state: 'running', zone: 'eu-west-1b' });
    const register = (...ids: readonly string[]): string =>
      codeOf('RegisterTargets', { TargetGroupArn: arn, Targets: ids.map((Id) => ({ Id })) });
    expect(register('i-2', 'i-3')).toBe('TooManyTargets');
    expect(register('i-2')).toBe('accepted');
    call('ModifyLoadBalancerAttributes', {
      LoadBalancerArn: balancer,
      Attributes: [{ Key: 'load_balancing.cross_zone.enabled', Value: 'true' }],
    });
    expect(register('i-1')).toBe('TooManyTargets');
  });

  test.each([
    ['private', { Id: '10.1.2.3' }, undefined, 'accepted'],
    ['shared (RFC 6598)', { Id: '100.64.0.1' }, undefined, 'accepted'],
    ['public', { Id: '8.8.8.8' }, undefined, 'InvalidTarget'],
    ['no address', { Id: 'i-1' }, undefined, 'ValidationError'],
    ['in the VPC', { Id: '10.0.0.9' }, '10.0.0.0/24', 'accepted'],
    ['outside the VPC without a zone', { Id: '10.9.0.9' }, '10.0.0.0/24', 'ValidationError'],
    ['outside the VPC for all zones', { Id: '10.9.0.9', AvailabilityZone: 'all' }, '10.0.0.0/24', 'accepted'],
  ])('an address target that is %s', (_what, target, cidr, code) => {
    const { codeOf, createTargetGroup } = bench({
      subnets: [{ id: 'subnet-a', vpcId: 'vpc-1', zone: 'eu-west-1a', ...(cidr !== undefined && { cidr }) }],
    });
    const TargetGroupArn = createTargetGroup({ TargetType: 'ip' });
    expect(codeOf('RegisterTargets', { TargetGroupArn, Targets: [target] })).toBe(code);
  });
});

describe('DeregisterTargets', () => {
  test('drains for the delay of the group, then the target is gone', () => {
    const { call, clock, health, arn } = inUse();
    call('ModifyTargetGroupAttributes', {
      TargetGroupArn: arn,
      Attributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '60' }],
    });
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] });
    call('DeregisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] });
    expect(health(arn)).toEqual(['i-1:30080 draining Target.DeregistrationInProgress']);
    clock.advance(59_999);
    expect(health(arn)).toHaveLength(1);
    clock.advance(1);
    expect(health(arn)).toEqual([]);
  });

  test('names a target by id and port: the default port is not the other one', () => {
    const { call, health, arn } = inUse();
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1', Port: 31_000 }] });
    call('DeregisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] });
    expect(health(arn)).toEqual(['i-1:31000 healthy']);
    call('DeregisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1', Port: 31_000 }] });
    expect(health(arn)).toEqual(['i-1:31000 draining Target.DeregistrationInProgress']);
  });

  test('a draining target that is registered again starts anew', () => {
    const { call, clock, health, arn } = inUse({ delays: { registrationMs: 1_000 } });
    const Targets = [{ Id: 'i-1' }];
    call('RegisterTargets', { TargetGroupArn: arn, Targets });
    clock.advance(1_000);
    call('DeregisterTargets', { TargetGroupArn: arn, Targets });
    call('RegisterTargets', { TargetGroupArn: arn, Targets });
    expect(health(arn)).toEqual(['i-1:30080 initial Elb.RegistrationInProgress']);
    clock.advance(400_000);
    expect(health(arn)).toEqual(['i-1:30080 healthy']);
  });

  test('draining again does not make it longer', () => {
    const { call, clock, health, arn } = inUse();
    const input = { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] };
    call('RegisterTargets', input);
    call('DeregisterTargets', input);
    clock.advance(200_000);
    call('DeregisterTargets', input);
    clock.advance(100_000);
    expect(health(arn)).toEqual([]);
  });

  test('succeeds for a target that was never registered', () => {
    const { codeOf, arn } = inUse();
    expect(codeOf('DeregisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-9' }] })).toBe('accepted');
  });

  test('takes away at once what no balancer used', () => {
    const { call, createTargetGroup, health } = bench();
    const TargetGroupArn = createTargetGroup();
    call('RegisterTargets', { TargetGroupArn, Targets: [{ Id: 'i-1' }] });
    call('DeregisterTargets', { TargetGroupArn, Targets: [{ Id: 'i-1' }] });
    expect(health(TargetGroupArn)).toEqual([]);
  });
});

describe('DescribeTargetHealth', () => {
  test('goes from unused over initial to healthy, counted from when the balancer is active', () => {
    const { call, clock, createLoadBalancer, createTargetGroup, createListener, health } = bench({
      delays: { provisioningMs: 10_000, registrationMs: 2_000, initialCheckMs: 3_000 },
    });
    const arn = createTargetGroup();
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] });
    expect(health(arn)).toEqual(['i-1:30080 unused Target.NotInUse']);
    createListener(createLoadBalancer(), arn);
    const seen = [health(arn)[0]];
    for (const step of [11_999, 1, 2_999, 1]) {
      clock.advance(step);
      seen.push(health(arn)[0]);
    }
    expect(seen).toEqual([
      'i-1:30080 initial Elb.RegistrationInProgress',
      'i-1:30080 initial Elb.RegistrationInProgress',
      'i-1:30080 initial Elb.InitialHealthChecking',
      'i-1:30080 initial Elb.InitialHealthChecking',
      'i-1:30080 healthy',
    ]);
  });

  test('follows what is set from outside, after the set delay in either direction', () => {
    const { account, call, clock, health, arn } = inUse({
      delays: { becomesUnhealthyMs: 20_000, becomesHealthyMs: 50_000 },
    });
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }, { Id: 'i-2' }] });
    account.setHealth({ id: 'i-1' }, { kind: 'unhealthy', reason: 'Target.FailedHealthChecks' });
    clock.advance(19_999);
    expect(health(arn)).toEqual(['i-1:30080 healthy', 'i-2:30080 healthy']);
    clock.advance(1);
    expect(health(arn)).toEqual(['i-1:30080 unhealthy Target.FailedHealthChecks', 'i-2:30080 healthy']);
    account.setHealth({ id: 'i-1' }, { kind: 'healthy' });
    clock.advance(49_999);
    expect(health(arn)[0]).toBe('i-1:30080 unhealthy Target.FailedHealthChecks');
    clock.advance(1);
    expect(health(arn)[0]).toBe('i-1:30080 healthy');
  });

  test('the rule that names most decides', () => {
    const { account, call, health, arn } = inUse();
    call('RegisterTargets', {
      TargetGroupArn: arn,
      Targets: [{ Id: 'i-1' }, { Id: 'i-1', Port: 1 }, { Id: 'i-2' }],
    });
    account.setHealth({}, { kind: 'unhealthy', reason: 'Target.Timeout' });
    account.setHealth({ id: 'i-1' }, { kind: 'unhealthy', reason: 'Target.ResponseCodeMismatch' });
    account.setHealth({ id: 'i-1', port: 1 }, { kind: 'healthy' });
    expect(health(arn)).toEqual([
      'i-1:30080 unhealthy Target.ResponseCodeMismatch',
      'i-1:1 healthy',
      'i-2:30080 unhealthy Target.Timeout',
    ]);
  });

  test('a function can decide in place of the rules', () => {
    const { account, call, health, arn } = inUse();
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }, { Id: 'i-2' }] });
    account.decideHealth((_group, target) =>
      target.id === 'i-1' ? { kind: 'unhealthy', reason: 'Target.Timeout' } : undefined,
    );
    expect(health(arn)).toEqual(['i-1:30080 unhealthy Target.Timeout', 'i-2:30080 healthy']);
  });

  test('an unhealthy target drains first where the group says so', () => {
    const { account, call, clock, health, arn } = inUse();
    call('ModifyTargetGroupAttributes', {
      TargetGroupArn: arn,
      Attributes: [
        { Key: 'target_health_state.unhealthy.connection_termination.enabled', Value: 'false' },
        { Key: 'target_health_state.unhealthy.draining_interval_seconds', Value: '30' },
      ],
    });
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] });
    account.setHealth({ id: 'i-1' }, { kind: 'unhealthy', reason: 'Target.Timeout' });
    expect(health(arn)).toEqual(['i-1:30080 unhealthy.draining Target.Timeout']);
    clock.advance(30_000);
    expect(health(arn)).toEqual(['i-1:30080 unhealthy Target.Timeout']);
  });

  test('an instance that stops, or whose zone is not enabled, is unused', () => {
    const { account, call, health, arn } = inUse();
    account.setInstance('i-2', { state: 'running', zone: 'eu-west-1z' });
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }, { Id: 'i-2' }] });
    account.setInstance('i-1', { state: 'stopped' });
    expect(health(arn)).toEqual(['i-1:30080 unused Target.InvalidState', 'i-2:30080 unused Target.NotInUse']);
  });

  test('asked for single targets, answers for those that are not registered as well', () => {
    const { call, arn } = inUse({}, { HealthCheckPort: '10256' });
    call('RegisterTargets', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }] });
    expect(
      call('DescribeTargetHealth', { TargetGroupArn: arn, Targets: [{ Id: 'i-1' }, { Id: 'i-2', Port: 5 }] }),
    ).toMatchObject({
      TargetHealthDescriptions: [
        { Target: { Id: 'i-1', Port: 30_080 }, HealthCheckPort: '10256', TargetHealth: { State: 'healthy' } },
        { Target: { Id: 'i-2', Port: 5 }, TargetHealth: { State: 'unused', Reason: 'Target.NotRegistered' } },
      ],
    });
  });
});
