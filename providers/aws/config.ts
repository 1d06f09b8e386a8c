/**
 * `providers.aws` of the settings file, checked in full: every mistake is reported at once.
 */
import type { Problem } from '../../src/core/problems.ts';
import type { Scheme, Tags } from './observed.ts';
import { defaultRates } from './limits.ts';
import type { Rate, Rates } from './limits.ts';
import { maxUserTags, reservedTagPrefixes } from './tags.ts';

export interface AwsConfig {
  readonly region: string;
  /** Subnet ids by scheme, in order. */
  readonly subnets: Readonly<Record<Scheme, readonly string[]>>;
  /** For balancers whose Service names none. A balancer made without can never be given any. */
  readonly securityGroups: readonly string[];
  /** Spares nothing but lets target groups be made beside the balancer instead of after it. */
  readonly vpcId: string | undefined;
  /** URL instead of the region's end point. */
  readonly endpoint: string | undefined;
  /** For Services that do not say. */
  readonly scheme: Scheme;
  readonly rates: Rates;
  /** On everything that is made, beside ours. */
  readonly tags: Tags;
}

const fields = [
  'region',
  'subnets',
  'securityGroups',
  'vpcId',
  'endpoint',
  'scheme',
  'rates',
  'tags',
] as const;
const classes = ['read', 'register', 'modify'] as const;
const schemes = ['internet-facing', 'internal'] as const;

type Fields = Readonly<Record<string, unknown>>;

/**
 * @param value what stands under `providers.aws`, as parsed from YAML.
 * @param at the path to it, for messages.
 */
export function parseAwsConfig(
  value: unknown,
  at = 'providers.aws',
): { readonly config: AwsConfig; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const wrong = (field: string, message: string, cure: string): void => {
    problems.push({
      severity: 'error',
      reason: 'InvalidConfig',
      field: field === '' ? at : `${at}.${field}`,
      message,
      cure,
    });
  };
  const map = (candidate: unknown, field: string): Fields => {
    if (candidate === undefined || candidate === null) return {};
    if (typeof candidate === 'object' && !Array.isArray(candidate)) return candidate as Fields;
    wrong(field, `${show(candidate)} is not a map`, 'write fields with values under it');
    return {};
  };
  const text = (candidate: unknown, field: string, pattern: RegExp, example: string): string | undefined => {
    if (candidate === undefined || candidate === null) return undefined;
    if (typeof candidate === 'string' && pattern.test(candidate)) return candidate;
    wrong(field, `${show(candidate)} cannot be used`, `write something like ${example}`);
    return undefined;
  };
  const list = (candidate: unknown, field: string, pattern: RegExp, example: string): readonly string[] => {
    if (candidate === undefined || candidate === null) return [];
    if (!Array.isArray(candidate)) {
      wrong(field, `${show(candidate)} is not a list`, `write a list such as [${example}]`);
      return [];
    }
    const found: string[] = [];
    for (const [i, one] of candidate.entries()) {
      const entry = text(one, `${field}[${i}]`, pattern, example);
      if (entry === undefined) continue;
      if (found.includes(entry)) wrong(`${field}[${i}]`, `"${entry}" is named twice`, 'remove one of them');
      else found.push(entry);
    }
    return found;
  };

  const given = map(value, '');
  for (const field of Object.keys(given)) {
    if (!(fields as readonly string[]).includes(field)) {
      wrong(field, 'this field is not known', `known are ${fields.join(', ')}`);
    }
  }
  const region = text(given['region'], 'region', /^[a-z]{2}(-[a-z]+)+-\d$/, 'eu-west-1');
  if (given['region'] === undefined || given['region'] === null) {
    wrong('region', 'the region is missing', 'name the region of the account, such as eu-west-1');
  }
  const subnets = map(given['subnets'], 'subnets');
  for (const field of Object.keys(subnets)) {
    if (!(schemes as readonly string[]).includes(field)) {
      wrong(`subnets.${field}`, 'this is not a scheme', `known are ${schemes.join(', ')}`);
    }
  }
  const subnetsOf = (scheme: Scheme): readonly string[] =>
    list(subnets[scheme], `subnets.${scheme}`, /^subnet-[A-Za-z0-9-]+$/, 'subnet-0123456789abcdef0');
  const config: AwsConfig = {
    region: region ?? '',
    subnets: { 'internet-facing': subnetsOf('internet-facing'), internal: subnetsOf('internal') },
    securityGroups: list(
      given['securityGroups'],
      'securityGroups',
      /^sg-[A-Za-z0-9-]+$/,
      'sg-0123456789abcdef0',
    ),
    vpcId: text(given['vpcId'], 'vpcId', /^vpc-[A-Za-z0-9-]+$/, 'vpc-0123456789abcdef0'),
    endpoint: readEndpoint(given['endpoint'], wrong),
    scheme: readScheme(given['scheme'], wrong),
    rates: readRates(map(given['rates'], 'rates'), wrong),
    tags: readTags(map(given['tags'], 'tags'), wrong),
  };
  return { config, problems };
}

type Wrong = (field: string, message: string, cure: string) => void;

function readEndpoint(value: unknown, wrong: Wrong): string | undefined {
  if (value === undefined || value === null) return undefined;
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) {
    if (url.username === '' && url.password === '') return url.href.replace(/\/$/, '');
    wrong('endpoint', 'the URL holds a user or a password', 'give credentials by the environment instead');
    return undefined;
  }
  wrong('endpoint', `${show(value)} is not a URL`, 'write something like https://elb.example.com');
  return undefined;
}

function readScheme(value: unknown, wrong: Wrong): Scheme {
  if (value === 'internal' || value === 'internet-facing') return value;
  if (value !== undefined && value !== null) {
    wrong('scheme', `${show(value)} is not a scheme`, `choose one of ${schemes.join(', ')}`);
  }
  return 'internal';
}

/** A number of calls a second, or `{perSecond, burst}`; a burst that is not named keeps the default one. */
function readRates(given: Fields, wrong: Wrong): Rates {
  for (const field of Object.keys(given)) {
    if (!(classes as readonly string[]).includes(field)) {
      wrong(`rates.${field}`, 'this class of calls is not known', `known are ${classes.join(', ')}`);
    }
  }
  const positive = (value: unknown, field: string, fallback: number): number => {
    if (value === undefined) return fallback;
    if (typeof value === 'number' && value > 0 && value <= 100_000) return value;
    wrong(`rates.${field}`, `${show(value)} is not a rate`, 'write a number above 0 (calls a second)');
    return fallback;
  };
  const rate = (field: (typeof classes)[number]): Rate => {
    const value = given[field] ?? undefined;
    const standard = defaultRates[field];
    if (typeof value !== 'object' || value === null) {
      const perSecond = positive(value, field, standard.perSecond);
      return { perSecond, burst: Math.max(standard.burst, perSecond) };
    }
    const { perSecond, burst, ...rest } = value as Fields;
    for (const other of Object.keys(rest)) {
      wrong(`rates.${field}.${other}`, 'this field is not known', 'known are perSecond, burst');
    }
    return {
      perSecond: positive(perSecond, `${field}.perSecond`, standard.perSecond),
      burst: positive(burst, `${field}.burst`, standard.burst),
    };
  };
  return { read: rate('read'), register: rate('register'), modify: rate('modify') };
}

function readTags(given: Fields, wrong: Wrong): Tags {
  const tags: Record<string, string> = {};
  for (const [key, value] of Object.entries(given)) {
    const mistake = tagMistake(key, String(value));
    if (typeof value !== 'string') {
      wrong(`tags.${key}`, `${show(value)} is not text`, 'write the value in quotes');
    } else if (mistake === undefined) {
      tags[key] = value;
    } else {
      wrong(`tags.${key}`, mistake, 'choose another');
    }
  }
  const count = Object.keys(tags).length;
  if (count > maxUserTags) {
    wrong('tags', `there are ${count} tags, and there is room for ${maxUserTags} beside ours`, 'name fewer');
    return {};
  }
  return tags;
}

/** What is wrong with a user's own tag, in words (API reference, Tag). */
export function tagMistake(key: string, value: string): string | undefined {
  const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
  if (reservedTagPrefixes.some((reserved) => key.toLowerCase().startsWith(reserved))) {
    return `the tag key "${key}" is reserved`;
  }
  if (key === '' || key.length > 128 || !allowed.test(key)) return `"${key}" is not a tag key that AWS takes`;
  return value.length <= 256 && allowed.test(value)
    ? undefined
    : `"${value}" is not a tag value that AWS takes`;
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
