/** What a tag may look like, and tags in their forms. */
import { CloudError } from './errors.ts';
import type { Tags } from './store.ts';

export interface GivenTag {
  readonly Key: string;
  readonly Value?: string | undefined;
}

/** Throws IllegalParam.Tag… for one that SLB does not take. */
export function readTags(tags: readonly GivenTag[] | undefined): Tags {
  const read: Record<string, string> = {};
  for (const { Key, Value = '' } of tags ?? []) {
    if (Key.length < 1 || Key.length > 64 || isReserved(Key)) {
      throw new CloudError('IllegalParam.TagKey', `The tag key '${Key}' is not valid`);
    }
    if (Value.length > 128 || /https?:\/\//.test(Value)) {
      throw new CloudError('IllegalParam.TagValue', `The value of tag '${Key}' is not valid`);
    }
    if (Object.hasOwn(read, Key))
      throw new CloudError('IllegalParam.TagKey', `The tag key '${Key}' appears twice`);
    read[Key] = Value;
  }
  return read;
}

function isReserved(key: string): boolean {
  return /^(aliyun|acs:)/i.test(key) || /https?:\/\//.test(key);
}

export function foundTags(tags: Tags): readonly { readonly TagKey: string; readonly TagValue: string }[] {
  return Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
}
