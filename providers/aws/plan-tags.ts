/**
 * Tags of what exists: ours and the user's are put right, those of others are left alone.
 *
 * The records (of attributes, tag keys, certificates that we set) grow before the change that they record
 * and shrink after it, so a crash in between leaves a record that says too much, never too little.
 */
import type { AwsObserved, ObservedListener, Tags } from './observed.ts';
import { addStep, chunks } from './steps.ts';
import type { Planning } from './steps.ts';
import {
  attributesTag,
  certificatesTag,
  joinRecord,
  keysTag,
  recordWord,
  splitRecord,
  toTagList,
} from './tags.ts';
import type { AwsWanted, WantedListener } from './wanted.ts';

const resourcesPerCall = 20;
const records: readonly string[] = [attributesTag, keysTag, certificatesTag];

/** Operations whose effect a record tells of. */
const recorded: ReadonlySet<string> = new Set([
  'ModifyLoadBalancerAttributes',
  'ModifyTargetGroupAttributes',
  'AddListenerCertificates',
  'RemoveListenerCertificates',
]);

interface Tagged {
  readonly arn: string;
  readonly subject: string;
  readonly wanted: Tags;
  readonly observed: Tags;
}

/** Existing resources beside the tags that they should have. */
export function taggedResources(wanted: AwsWanted, observed: AwsObserved): readonly Tagged[] {
  const tagged: Tagged[] = [];
  const { balancer } = observed;
  if (balancer !== undefined) {
    tagged.push({
      arn: balancer.arn,
      subject: `balancer ${balancer.name}`,
      wanted: wanted.tags,
      observed: balancer.tags,
    });
  }
  for (const listener of wanted.listeners) {
    const group = observed.groups.find((one) => one.name === listener.group.name);
    if (group !== undefined) {
      tagged.push({
        arn: group.arn,
        subject: `target group ${group.name}`,
        wanted: listener.group.tags,
        observed: group.tags,
      });
    }
    const present = balancer?.listeners.find((one) => one.port === listener.port);
    if (present !== undefined && (present.ours || present.group === group?.arn)) {
      tagged.push({
        arn: present.arn,
        subject: `listener ${present.port} of ${balancer?.name ?? ''}`,
        wanted: withKeptCertificate(listener, present),
        observed: present.tags,
      });
    }
  }
  return tagged;
}

/**
 * The default certificate may also stand in the list of the others, where it cannot be taken off now. If we
 * put it there, that stays on record until it can.
 */
function withKeptCertificate({ certificates, tags }: WantedListener, observed: ObservedListener): Tags {
  const [standard = ''] = certificates;
  const word = recordWord(standard);
  const listed = observed.moreCertificates?.includes(standard) === true;
  if (!listed || !splitRecord(observed.tags[certificatesTag]).has(word)) return tags;
  return { ...tags, [certificatesTag]: grown(tags[certificatesTag], word) };
}

/** What is missing or different, with records grown. */
export function planTagsBefore(planning: Planning, tagged: readonly Tagged[]): void {
  addTags(planning, 'addTags', 'tags are missing or differ', [], tagged, (one) => {
    const set: Record<string, string> = {};
    for (const [key, value] of Object.entries(one.wanted)) {
      const next = records.includes(key) ? grown(one.observed[key], value) : value;
      if (one.observed[key] !== next) set[key] = next;
    }
    return set;
  });
}

/** Makes every step whose effect is recorded wait for the records. */
export function recordFirst(planning: Planning): void {
  const first = planning.steps.filter(({ id }) => id === 'addTags' || id.startsWith('addTags.'));
  if (first.length === 0) return;
  for (const [i, step] of planning.steps.entries()) {
    if (!recorded.has(step.operation)) continue;
    planning.steps[i] = { ...step, needs: [...new Set([...step.needs, ...first.map(({ id }) => id)])] };
  }
}

/** What is no longer asked for, and records shrunk to what is: after the changes that they tell of. */
export function planTagsAfter(planning: Planning, tagged: readonly Tagged[]): void {
  const needs = planning.steps.filter(({ operation }) => recorded.has(operation)).map(({ id }) => id);
  const grouped = groupBy(tagged, (one) =>
    Object.keys(one.observed)
      .filter((key) => one.wanted[key] === undefined && isOurs(key, one.observed))
      .toSorted(),
  );
  for (const { value: keys, members } of grouped) {
    if (keys.length === 0) continue;
    for (const part of chunks(members, resourcesPerCall)) {
      addStep(planning, 'RemoveTags', {
        id: uniqueId(planning, 'removeTags'),
        parameters: { ResourceArns: part.map(({ arn }) => arn), TagKeys: keys },
        subject: part.map(({ subject }) => subject).join(', '),
        reason: 'tags are no longer asked for',
        risk: 'none',
        needs,
      });
    }
  }
  addTags(planning, 'shrinkRecords', 'fewer things are asked for than we once set', needs, tagged, (one) =>
    Object.fromEntries(
      Object.entries(one.wanted).filter(([key, value]) => {
        const before = one.observed[key];
        return records.includes(key) && before !== undefined && grown(before, value) !== value;
      }),
    ),
  );
}

/** A key that we wrote: a record, or one that the record of the user's keys names. */
function isOurs(key: string, observed: Tags): boolean {
  return records.includes(key) || splitRecord(observed[keysTag]).has(recordWord(key));
}

function grown(before: string | undefined, value: string): string {
  return joinRecord([...splitRecord(before), ...splitRecord(value)]);
}

function addTags(
  planning: Planning,
  id: string,
  reason: string,
  needs: readonly string[],
  tagged: readonly Tagged[],
  tagsFor: (one: Tagged) => Tags,
): void {
  for (const { value: tags, members } of groupBy(tagged, tagsFor)) {
    if (Object.keys(tags).length === 0) continue;
    for (const part of chunks(members, resourcesPerCall)) {
      addStep(planning, 'AddTags', {
        id: uniqueId(planning, id),
        parameters: { ResourceArns: part.map(({ arn }) => arn), Tags: toTagList(tags) },
        subject: part.map(({ subject }) => subject).join(', '),
        reason: `${reason}: ${Object.keys(tags).join(', ')}`,
        risk: 'none',
        needs,
      });
    }
  }
}

/** Resources that need the same thing share a call. */
function groupBy<Value>(
  tagged: readonly Tagged[],
  valueOf: (one: Tagged) => Value,
): readonly { readonly value: Value; readonly members: readonly Tagged[] }[] {
  const groups = new Map<string, { readonly value: Value; readonly members: Tagged[] }>();
  for (const one of tagged) {
    const value = valueOf(one);
    const key = JSON.stringify(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { value, members: [one] });
    else group.members.push(one);
  }
  return [...groups.values()];
}

function uniqueId({ steps }: Planning, id: string): string {
  const taken = steps.filter((step) => step.id === id || step.id.startsWith(`${id}.`)).length;
  return taken === 0 ? id : `${id}.${taken + 1}`;
}
