/** Tags: given at creation, added, removed, described. At most 50 a resource, each key once. */

import type {
  AddTagsInput,
  AddTagsOutput,
  DescribeTagsInput,
  DescribeTagsOutput,
  RemoveTagsInput,
  RemoveTagsOutput,
  Tag,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { kindOfArn } from './arns.ts';
import { findListener, findLoadBalancer, findTargetGroup } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, validation } from './errors.ts';
import type { AnyRecord, Tags } from './store.ts';

const MOST_DESCRIBED = 20;

/** The tags of a create call as a record. Throws DuplicateTagKeys, TooManyTags or ValidationError. */
export function readTags(context: Context, tags: readonly Tag[] | undefined): Tags {
  const result: Record<string, string> = {};
  for (const tag of tags ?? []) {
    const key = tag.Key ?? '';
    const value = tag.Value ?? '';
    if (key.length < 1 || key.length > 128)
      throw validation(`Tag key '${key}' must have 1 to 128 characters`);
    if (value.length > 256) throw validation(`The value of tag '${key}' must have at most 256 characters`);
    if (key.toLowerCase().startsWith('aws:'))
      throw validation(`Tag key '${key}': the prefix 'aws:' is reserved`);
    if (Object.hasOwn(result, key))
      throw new CloudError('DuplicateTagKeys', `Tag key '${key}' appears twice`);
    result[key] = value;
  }
  checkCount(context, result);
  return result;
}

export function addTags(context: Context, input: AddTagsInput): AddTagsOutput {
  const added = readTags(context, input.Tags);
  const changed = findAll(context, input.ResourceArns).map((record) => {
    const tags = { ...record.tags, ...added };
    checkCount(context, tags);
    return { ...record, tags };
  });
  for (const record of changed) context.store.put(record, context.now);
  return {};
}

export function removeTags(context: Context, input: RemoveTagsInput): RemoveTagsOutput {
  const gone = new Set(input.TagKeys);
  for (const record of findAll(context, input.ResourceArns)) {
    const tags = Object.fromEntries(Object.entries(record.tags).filter(([key]) => !gone.has(key)));
    context.store.put({ ...record, tags }, context.now);
  }
  return {};
}

export function describeTags(context: Context, input: DescribeTagsInput): DescribeTagsOutput {
  const arns = input.ResourceArns ?? [];
  if (arns.length > MOST_DESCRIBED) {
    throw validation(`At most ${MOST_DESCRIBED} resources can be described at once, not ${arns.length}`);
  }
  return {
    TagDescriptions: findAll(context, arns).map((record) => ({
      ResourceArn: record.arn,
      Tags: Object.entries(record.tags).map(([Key, Value]) => ({ Key, Value })),
    })),
  };
}

function findAll(context: Context, arns: readonly string[] | undefined): readonly AnyRecord[] {
  return (arns ?? []).map((arn) => {
    const kind = kindOfArn(arn);
    if (kind === 'load-balancer') return findLoadBalancer(context, arn);
    return kind === 'target-group' ? findTargetGroup(context, arn) : findListener(context, arn);
  });
}

function checkCount(context: Context, tags: Tags): void {
  const most = context.settings.quotas.tagsPerResource;
  if (Object.keys(tags).length > most) {
    throw new CloudError('TooManyTags', `A resource can have at most ${most} tags`);
  }
}
