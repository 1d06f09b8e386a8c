/**
 * Every setting under `providers.alibaba`, with its default: what validates the section and what its reference
 * is made from.
 */
import {
  choice,
  field,
  flag,
  integer,
  list,
  quote,
  readMapping,
  reportUnknown,
  section,
  text,
} from '../../src/core/schema.ts';
import type { Path, Report, Schema } from '../../src/core/schema.ts';
import { regionForm } from './endpoints.ts';
import { backendsPerCall, defaultRates } from './limits.ts';
import type { Rate } from './limits.ts';
import type { CallClass } from './operations.ts';
import { maxUserTags, tagMistake } from './tags.ts';
import type { Tags } from './tags.ts';

const region = text({
  type: 'the name of a region',
  pattern: regionForm,
  cure: 'Write something like cn-hangzhou',
  standard: '',
});

function id<T extends string | undefined>(prefix: string, what: string, standard: T): Schema<string | T> {
  return text({
    type: what,
    pattern: new RegExp(`^${prefix}-[A-Za-z0-9-]+$`, 'u'),
    cure: `Write an id, such as ${prefix}-bp1a2b3c4d5e6f7g8h9i0`,
    standard,
  });
}

const words = <T extends string | undefined>(type: string, standard: T): Schema<string | T> =>
  text({ type, pattern: /^\S{1,2048}$/u, cure: 'Write text without blanks', standard });

/** What is wrong with it is told without a password that it may hold. */
const endpoint: Schema<string | undefined> = {
  type: 'a URL',
  standard: undefined,
  standardText: undefined,
  read: (value, path, report) => {
    if (value === undefined || value === null) return undefined;
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      report(path, `${quote(value)} is not a URL`, 'Write something like https://slb.example.com');
    } else if (url.username !== '' || url.password !== '') {
      report(
        path,
        'the URL holds a user or a password',
        'Name the source of credentials in providers.alibaba.credentials instead',
      );
    } else {
      return url.href.replace(/\/$/u, '');
    }
    return undefined;
  },
};

function positive(value: unknown, path: Path, standard: number, report: Report): number {
  if (value === undefined) return standard;
  if (typeof value === 'number' && value > 0 && value <= 100_000) return value;
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
    if (Object.keys(read).length <= maxUserTags) return read;
    report(path, `there is room for ${maxUserTags} tags beside ours`, 'Name fewer');
    return {};
  },
};

export const configTable = section({
  region: field(
    { ...region, standardText: undefined },
    'Region of the account. Without it the instance that Sluice runs on is asked (ECS metadata service, in the hardened mode), for its VPC and vswitch too where they are not named.',
  ),
  addressType: field(
    choice(['internet', 'intranet'], 'internet'),
    'Address type of Services that do not say: reachable from the internet, or from the VPC only.',
  ),
  allowInternet: field(
    flag(true),
    'False refuses to make balancers that can be reached from the internet; those that exist go on and can be removed.',
  ),
  vpcId: field(id('vpc', 'the id of a VPC', undefined), 'VPC of intranet balancers.'),
  vSwitches: field(
    list(id('vsw', 'the id of a vswitch', '')),
    'VSwitches of intranet balancers whose Service names none. The first is used; when it has no free address, the one with the most.',
  ),
  resourceGroupId: field(
    id('rg', 'the id of a resource group', undefined),
    'Resource group of balancers whose Service names none.',
  ),
  credentials: field(
    section({
      source: field(
        choice(['oidc', 'node-role', 'access-key'], 'oidc'),
        "Where credentials come from, and nowhere else: the service account's role (RRSA), the RAM role of the node, or an access key in the environment.",
      ),
      roleArn: field(words('the ARN of a role', undefined), 'With `oidc`. Default: ALIBABA_CLOUD_ROLE_ARN.'),
      oidcProviderArn: field(
        words('the ARN of an OIDC provider', undefined),
        'With `oidc`. Default: ALIBABA_CLOUD_OIDC_PROVIDER_ARN.',
      ),
      oidcTokenFile: field(
        words('a path', undefined),
        'With `oidc`. Default: ALIBABA_CLOUD_OIDC_TOKEN_FILE.',
      ),
      stsEndpoint: field(endpoint, 'With `oidc`. Default: STS of the region.'),
      nodeRole: field(
        words('the name of a role', undefined),
        'With `node-role`. Default: the one that the node has.',
      ),
      metadataEndpoint: field(
        endpoint,
        'With `node-role`, and where no region is named. Default: http://100.100.100.200.',
      ),
    }),
    'One source of credentials. An access key is read from ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and, if it is temporary, ALIBABA_CLOUD_SECURITY_TOKEN: never from this file.',
  ),
  network: field(
    choice(['public', 'vpc'], 'vpc'),
    "Which of the region's end points are called: those inside a VPC need no way to the internet.",
  ),
  endpoint: field(
    endpoint,
    "Used instead of the region's own end point of SLB: a private end point, a simulated account.",
  ),
  vpcEndpoint: field(endpoint, 'The same for the VPC API. Default: `endpoint`, else that of the region.'),
  backendsPerCall: field(
    integer({ min: 1, max: 40, standard: backendsPerCall }),
    'Members of a group that one call carries. The API documents 20; a refusal for too many is answered by halving.',
  ),
  rates: field(
    section({
      read: field(rate('read'), 'Describe calls.'),
      members: field(rate('members'), 'Adding, removing and weighing members of groups.'),
      modify: field(rate('modify'), 'All other calls that change something.'),
    }),
    'How fast we call at most, for the whole account and region. Alibaba Cloud publishes no figures, so the defaults are guesses: a refusal for calling too fast halves the rate in use, down to a sixteenth, and a minute without one brings it back up to what stands here.',
  ),
  tags: field(tags, 'Put on every balancer that is made, beside our own.'),
});
