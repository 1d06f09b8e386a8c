/**
 * Rows of the annotation table about the balancer itself. Deprecated spellings come first: the later row wins.
 */
import { parseList } from '../../src/core/annotations.ts';
import {
  readAttributes,
  readBool,
  readIds,
  readPairs,
  readWord,
  served,
  servedAs,
} from './annotation-row.ts';
import type { Reading, Row } from './annotation-row.ts';
import { balancerAttributes } from './attributes.ts';
import { tagMistake } from './tags.ts';

export const balancerRows: readonly Row[] = [
  served(
    'name',
    {
      values: '1 to 32 letters, digits and hyphens',
      fallback: 'made from the namespace, the name and the UID',
      means: 'Name of the balancer.',
      note: 'At creation only: a later change is reported.',
    },
    ({ text, draft, refuse }) => {
      const good =
        /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?$/.test(text) && !text.startsWith('internal-');
      if (good) draft.name = text;
      else {
        refuse(
          `"${text}" cannot name a balancer`,
          'use at most 32 letters, digits and hyphens, no hyphen at either end, and not "internal-" in front',
        );
      }
    },
  ),
  served(
    'internal',
    {
      values: '`false`, or anything else for true',
      fallback: '',
      means: 'Older spelling of the scheme.',
      note: 'Prefer `scheme`.',
    },
    ({ text, draft }) => {
      draft.internal = text.toLowerCase() === 'false' ? 'internet-facing' : 'internal';
    },
  ),
  served(
    'scheme',
    {
      values: '`internal`, `internet-facing`',
      fallback: 'that of the existing balancer, else of the settings, else `internal`',
      means: 'Whether the address can be reached from the internet.',
      note: 'At creation only: a later change is reported.',
    },
    (reading) => {
      reading.draft.scheme = readWord(reading, ['internal', 'internet-facing']);
    },
  ),
  served(
    'subnets',
    {
      values: 'subnet ids',
      fallback: 'those of the settings for the scheme',
      means: 'Subnets of the balancer, one for each zone.',
      note: 'Ids only: names would need rights to read EC2.',
    },
    (reading) => {
      const ids = readIds(reading, /^subnet-[A-Za-z0-9-]+$/, 'subnet-0123456789abcdef0');
      if (ids.length > 0) reading.draft.subnets = ids;
    },
  ),
  served(
    'eip-allocations',
    {
      values: 'allocation ids',
      fallback: 'addresses chosen by AWS',
      means: 'Elastic IPs, one for each subnet, in the order of the subnets.',
      note: 'Internet-facing only; at creation only.',
    },
    (reading) => {
      reading.draft.allocations = readIds(reading, /^eipalloc-[A-Za-z0-9-]+$/, 'eipalloc-0123456789abcdef0');
    },
  ),
  served(
    'security-groups',
    {
      values: 'security group ids',
      fallback: 'those of the settings, else none',
      means: 'Security groups of the balancer.',
      note: 'A balancer made without any can never be given one. Ids only.',
    },
    (reading) => {
      const ids = readIds(reading, /^sg-[A-Za-z0-9-]+$/, 'sg-0123456789abcdef0');
      if (ids.length > 0) reading.draft.securityGroups = ids;
    },
  ),
  served(
    'disable-nlb-sg',
    {
      values: 'boolean',
      fallback: '`false`',
      means: 'Makes the balancer without the security groups of the settings.',
      note: 'At creation only.',
    },
    (reading) => {
      reading.draft.withoutSecurityGroups = readBool(reading) ?? false;
    },
  ),
  servedAs(
    'service.beta.kubernetes.io/load-balancer-source-ranges',
    {
      values: 'ranges such as `10.0.0.0/8`',
      fallback: 'everywhere',
      means: 'Sources that may connect; spec.loadBalancerSourceRanges wins over it.',
      note: 'Needs security groups that enforce it: refused without any.',
    },
    ({ text, draft }) => {
      draft.sourceRanges = parseList(text);
    },
  ),
  served(
    'cross-zone-load-balancing-enabled',
    {
      values: 'boolean',
      fallback: '`false`',
      means: 'Spreads connections over the targets of all zones.',
      note: '`attributes` wins over it.',
    },
    (reading) => {
      const value = readBool(reading);
      if (value !== undefined) setAttributes(reading, { 'load_balancing.cross_zone.enabled': String(value) });
    },
  ),
  served(
    'access-log-enabled',
    {
      values: 'boolean',
      fallback: '`false`',
      means: 'Writes access logs (TLS listeners only).',
      note: '`attributes` wins over it.',
    },
    (reading) => {
      const value = readBool(reading);
      if (value !== undefined) setAttributes(reading, { 'access_logs.s3.enabled': String(value) });
    },
  ),
  served(
    'access-log-s3-bucket-name',
    { values: 'a bucket', fallback: '', means: 'Bucket of the access logs.' },
    (reading) => setAttributes(reading, { 'access_logs.s3.bucket': reading.text }),
  ),
  served(
    'access-log-s3-bucket-prefix',
    { values: 'a path', fallback: '', means: 'Path of the access logs in their bucket.' },
    (reading) => setAttributes(reading, { 'access_logs.s3.prefix': reading.text }),
  ),
  served(
    'attributes',
    {
      values: '`key=value` pairs',
      fallback: "AWS's defaults",
      means: 'Attributes of the balancer.',
      note: 'An attribute that is removed here goes back to its default.',
    },
    (reading) => setAttributes(reading, readAttributes(reading, balancerAttributes)),
  ),
  served(
    'additional-resource-tags',
    {
      values: '`key=value` pairs; `\\,` is a comma',
      fallback: 'those of the settings',
      means: 'Tags on everything that is made for the Service.',
      note: 'Tags of others are left alone.',
    },
    (reading) => {
      const tags: Record<string, string> = {};
      for (const [key, value] of readPairs(reading)) {
        const mistake = tagMistake(key, value);
        if (mistake === undefined) tags[key] = value;
        else reading.refuse(mistake, 'choose another');
      }
      reading.draft.tags = tags;
    },
  ),
];

function setAttributes({ draft }: Reading, attributes: Readonly<Record<string, string>>): void {
  draft.balancerAttributes = { ...draft.balancerAttributes, ...attributes };
}
