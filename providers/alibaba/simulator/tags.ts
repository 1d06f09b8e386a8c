/** Tags of balancers after their creation. */
import type { Calls } from '../client-types.ts';
import { findLoadBalancer, isVisible } from './context.ts';
import type { Context } from './context.ts';
import { CloudError } from './errors.ts';
import type { Tags } from './store.ts';
import { readTags } from './tag-rules.ts';

export function tagResources(context: Context, input: Calls['TagResources'][0]): object {
  const added = readTags(input.Tag);
  const { tagsPerResource } = context.settings.quotas;
  const changed = input.ResourceId.map((id) => {
    const record = findLoadBalancer(context, id);
    return { ...record, tags: { ...record.tags, ...added } };
  });
  if (changed.some(({ tags }) => Object.keys(tags).length > tagsPerResource)) {
    throw new CloudError('SizeLimitExceeded.Tag', 'Too many tags');
  }
  for (const record of changed) context.store.put(record, context.now);
  return {};
}

export function untagResources(context: Context, input: Calls['UntagResources'][0]): object {
  for (const record of input.ResourceId.map((id) => findLoadBalancer(context, id))) {
    const tags: Tags = Object.fromEntries(
      Object.entries(record.tags).filter(([key]) => !input.TagKey.includes(key)),
    );
    context.store.put({ ...record, tags }, context.now);
  }
  return {};
}

export function listTagResources(
  context: Context,
  input: Calls['ListTagResources'][0],
): Calls['ListTagResources'][1] {
  const records =
    input.ResourceId?.map((id) => findLoadBalancer(context, id)) ??
    context.store.all('load-balancer').filter((record) => isVisible(context, record));
  const matching = records.filter(({ tags }) =>
    (input.Tag ?? []).every(
      ({ Key, Value }) => Object.hasOwn(tags, Key) && (Value ?? tags[Key]) === tags[Key],
    ),
  );
  return {
    TagResources: {
      TagResource: matching.flatMap(({ id, tags }) =>
        Object.entries(tags).map(([TagKey, TagValue]) => ({
          ResourceId: id,
          ResourceType: 'instance',
          TagKey,
          TagValue,
        })),
      ),
    },
  };
}
