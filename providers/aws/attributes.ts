/**
 * The attributes of balancers and target groups that AWS documents for Network Load Balancers, with their
 * defaults (ELBv2 API reference, LoadBalancerAttribute and TargetGroupAttribute).
 *
 * Only what differs from a default is kept in an observation, and an attribute that is no longer asked for
 * goes back to its default. A key that is not in the table is passed to AWS as it is, but cannot be reset.
 */
import type { Attributes } from './observed.ts';

export interface AttributeRow {
  readonly key: string;
  /** Word that stands for the key in the tag that records what we set. */
  readonly short: string;
  readonly fallback: string;
  /** Values that AWS takes: `bool`, a range of integers, or a list of words; undefined: any text. */
  readonly values: 'bool' | readonly [min: number, max: number] | readonly string[] | undefined;
  /** Beside a range of integers: the word that switches the rule off. */
  readonly off?: true;
}

export const balancerAttributes: readonly AttributeRow[] = [
  { key: 'deletion_protection.enabled', short: 'protection', fallback: 'false', values: 'bool' },
  { key: 'load_balancing.cross_zone.enabled', short: 'cross-zone', fallback: 'false', values: 'bool' },
  { key: 'access_logs.s3.enabled', short: 'logs', fallback: 'false', values: 'bool' },
  { key: 'access_logs.s3.bucket', short: 'logs-bucket', fallback: '', values: undefined },
  { key: 'access_logs.s3.prefix', short: 'logs-prefix', fallback: '', values: undefined },
  { key: 'zonal_shift.config.enabled', short: 'zonal-shift', fallback: 'false', values: 'bool' },
  {
    key: 'dns_record.client_routing_policy',
    short: 'routing',
    fallback: 'any_availability_zone',
    values: ['any_availability_zone', 'availability_zone_affinity', 'partial_availability_zone_affinity'],
  },
];

export const groupAttributes: readonly AttributeRow[] = [
  { key: 'deregistration_delay.timeout_seconds', short: 'delay', fallback: '300', values: [0, 3600] },
  {
    key: 'deregistration_delay.connection_termination.enabled',
    short: 'delay-cut',
    fallback: 'false',
    values: 'bool',
  },
  { key: 'preserve_client_ip.enabled', short: 'client-ip', fallback: 'true', values: 'bool' },
  { key: 'proxy_protocol_v2.enabled', short: 'proxy', fallback: 'false', values: 'bool' },
  { key: 'stickiness.enabled', short: 'sticky', fallback: 'false', values: 'bool' },
  { key: 'stickiness.type', short: 'sticky-type', fallback: 'source_ip', values: ['source_ip'] },
  {
    key: 'load_balancing.cross_zone.enabled',
    short: 'cross-zone',
    fallback: 'use_load_balancer_configuration',
    values: ['true', 'false', 'use_load_balancer_configuration'],
  },
  {
    key: 'target_health_state.unhealthy.connection_termination.enabled',
    short: 'sick-cut',
    fallback: 'true',
    values: 'bool',
  },
  {
    key: 'target_health_state.unhealthy.draining_interval_seconds',
    short: 'sick-delay',
    fallback: '0',
    values: [0, 360000],
  },
  {
    key: 'target_group_health.dns_failover.minimum_healthy_targets.count',
    short: 'dns-count',
    fallback: '1',
    values: [1, 3000],
    off: true,
  },
  {
    key: 'target_group_health.dns_failover.minimum_healthy_targets.percentage',
    short: 'dns-percent',
    fallback: 'off',
    values: [1, 100],
    off: true,
  },
  {
    key: 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.count',
    short: 'route-count',
    fallback: '1',
    values: [1, 3000],
  },
  {
    key: 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage',
    short: 'route-percent',
    fallback: 'off',
    values: [1, 100],
    off: true,
  },
];

/** What is wrong with a value, in words; undefined when nothing is, or when the key is not in the table. */
export function attributeMistake(
  table: readonly AttributeRow[],
  key: string,
  value: string,
): string | undefined {
  const row = table.find((one) => one.key === key);
  if (row?.values === undefined) return undefined;
  if (row.values === 'bool')
    return value === 'true' || value === 'false' ? undefined : 'must be true or false';
  const [first, second] = row.values;
  if (typeof first === 'number' && typeof second === 'number') {
    if (row.off === true && value === 'off') return undefined;
    const number = /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN;
    const or = row.off === true ? ' or "off"' : '';
    return number >= first && number <= second
      ? undefined
      : `must be an integer from ${first} to ${second}${or}`;
  }
  const words = row.values.map(String);
  return words.includes(value) ? undefined : `must be one of ${words.join(', ')}`;
}

/**
 * Defaults that depend on the target group's protocol (API reference): connections of UDP are cut at the end
 * of the deregistration delay, and those to unhealthy targets are not.
 */
export function groupAttributesFor(protocol: string): readonly AttributeRow[] {
  if (protocol !== 'UDP' && protocol !== 'TCP_UDP') return groupAttributes;
  return groupAttributes.map((row) => {
    if (row.short === 'delay-cut') return { ...row, fallback: 'true' };
    return row.short === 'sick-cut' ? { ...row, fallback: 'false' } : row;
  });
}

/** Without what has its default. */
export function withoutDefaults(table: readonly AttributeRow[], attributes: Attributes): Attributes {
  const defaults = new Map(table.map(({ key, fallback }) => [key, fallback]));
  return Object.fromEntries(Object.entries(attributes).filter(([key, value]) => defaults.get(key) !== value));
}

export function fallbackOf(table: readonly AttributeRow[], key: string): string | undefined {
  return table.find((row) => row.key === key)?.fallback;
}

/** Short names of those keys that can be reset later. */
export function shortNames(table: readonly AttributeRow[], keys: Iterable<string>): readonly string[] {
  const wanted = new Set(keys);
  return table.filter(({ key }) => wanted.has(key)).map(({ short }) => short);
}
