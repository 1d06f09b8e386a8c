/**
 * Every setting under `providers.aws`, with its default: what validates the section and what its reference is
 * made from.
 */
import {
  choice,
  field,
  list,
  quote,
  readMapping,
  reportUnknown,
  section,
  text,
} from '../../src/core/schema.ts';
import type { Path, Report, Schema } from '../../src/core/schema.ts';
import { defaultRates } from './limits.ts';
import type { Rate } from './limits.ts';
import type { Tags } from './observed.ts';
import type { CallClass } from './operations.ts';
import { maxUserTags, tagMistake } from './tags.ts';

/** An id such as `subnet-0123456789abcdef0`. */
function id<T extends string | undefined>(prefix: string, what: string, standard: T): Schema<string | T> {
  return text({
    type: what,
    pattern: new RegExp(`^${prefix}-[A-Za-z0-9-]+$`, 'u'),
    cure: `Write an id, such as ${prefix}-0123456789abcdef0`,
    standard,
  });
}

const regionForm = text({
  type: 'the name of a region',
  pattern: /^[a-z]{2}(?:-[a-z]+)+-\d$/u,
  cure: 'Write something like eu-west-1',
  standard: '',
});
const region: Schema<string> = {
  ...regionForm,
  standardText: undefined,
  read: (value, path, report) => {
    if (value === undefined || value === null) {
      report(path, 'the region is missing', 'Name the region of the account, such as eu-west-1');
    }
    return regionForm.read(value, path, report);
  },
};

/** What is wrong with it is told without a password that it may hold. */
const endpoint: Schema<string | undefined> = {
  type: 'a URL',
  standard: undefined,
  standardText: undefined,
  read: (value, path, report) => {
    if (value === undefined || value === null) return undefined;
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      report(path, `${quote(value)} is not a URL`, 'Write something like https://elb.example.com');
    } else if (url.username !== '' || url.password !== '') {
      report(path, 'the URL holds a user or a password', 'Give credentials by the environment instead');
    } else {
      return url.href.replace(/\/$/u, '');
    }
    return undefined;
  },
};

const mostPerSecond = 100_000;

function positive(value: unknown, path: Path, standard: number, report: Report): number {
  if (value === undefined) return standard;
  if (typeof value === 'number' && value > 0 && value <= mostPerSecond) return value;
  report(path, `${quote(value)} is not a rate`, 'Write a number above 0 (calls a second)');
  return standard;
}

/** A number of calls a second, or `{perSecond, burst}`; a burst that is not named keeps the default one. */
function rate(callClass: CallClass): Schema<Rate> {
  const standard = defaultRates[callClass];
  return {
    type: 'calls a second, or `{perSecond, burst}`',
    standard,
    standardText: `{perSecond: ${standard.perSecond}, burst: ${standard.burst}}`,
    read: (value, path, report) => {
      if (typeof value !== 'object' || value === null) {
        const perSecond = positive(value ?? undefined, path, standard.perSecond, report);
        return { perSecond, burst: Math.max(standard.burst, perSecond) };
      }
      const { perSecond, burst, ...rest } = readMapping(value, path, report);
      reportUnknown(rest, ['perSecond', 'burst'], path, report);
      return {
        perSecond: positive(perSecond, [...path, 'perSecond'], standard.perSecond, report),
        burst: positive(burst, [...path, 'burst'], standard.burst, report),
      };
    },
  };
}

const tags: Schema<Tags> = {
  type: `\`key: value\` pairs, at most ${maxUserTags}`,
  standard: {},
  standardText: '{}',
  read: (value, path, report) => {
    const read: Record<string, string> = {};
    for (const [key, given] of Object.entries(readMapping(value, path, report))) {
      const mistake = tagMistake(key, String(given));
      if (typeof given !== 'string') {
        report([...path, key], `${quote(given)} is not text`, 'Write the value in quotes');
      } else if (mistake === undefined) {
        read[key] = given;
      } else {
        report([...path, key], mistake, 'Choose another');
      }
    }
    const count = Object.keys(read).length;
    if (count <= maxUserTags) return read;
    const room = `there are ${count} tags, and there is room for ${maxUserTags} beside ours`;
    report(path, room, 'Name fewer');
    return {};
  },
};

const subnets = list(id('subnet', 'the id of a subnet', ''));

export const configTable = section({
  region: field(region, 'Region of the account. Needed.'),
  subnets: field(
    section({
      'internet-facing': field(subnets, 'Subnets of balancers that are reached from the internet.'),
      internal: field(subnets, 'Subnets of balancers that are reached from inside only.'),
    }),
    'Subnets by scheme, one for each zone. A Service may name its own by annotation.',
  ),
  scheme: field(choice(['internal', 'internet-facing'], 'internal'), 'Scheme of Services that do not say.'),
  securityGroups: field(
    list(id('sg', 'the id of a security group', '')),
    'Security groups of balancers whose Service names none. A balancer made without can never be given any.',
  ),
  vpcId: field(
    id('vpc', 'the id of a VPC', undefined),
    'Lets target groups be made beside the balancer instead of after it, which else tells the VPC.',
  ),
  endpoint: field(
    endpoint,
    "Used instead of the region's own end point: a VPC end point, a simulated account.",
  ),
  rates: field(
    section({
      read: field(rate('read'), 'Describe calls.'),
      register: field(rate('register'), 'Registering and deregistering targets.'),
      modify: field(rate('modify'), 'All other calls that change something.'),
    }),
    'How fast we call at most, for the whole account and region; throttling slows us down further. The defaults keep ' +
      'somewhat below what AWS documents.',
  ),
  tags: field(tags, 'Put on everything that is made, beside our own.'),
});
