/**
 * Taking over a balancer that the cloud's own controller made: what is to be called, and why it may not be.
 *
 * Only tags and the name of the balancer change; listeners, groups and members are read and never written, so
 * that no connection can notice. Our mark comes first and the other controller's goes last: at no moment is the
 * balancer nobody's. Repeatable: what is done already is left out.
 */
import type { Plan, Step } from '../../src/core/plan.ts';
import { emptyPlan } from '../../src/core/plan.ts';
import { hasErrors } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { Owner } from '../../src/core/provider.ts';
import type { LoadBalancer } from './client-types.ts';
import type { Loader } from './loader.ts';
import { foreignBalancerName } from './names.ts';
import { readBalancer } from './observe.ts';
import { nothing } from './observed.ts';
import { plan } from './plan.ts';
import type { Recent } from './recent.ts';
import { addStep, emptyPlanning } from './steps.ts';
import {
  clusterTag,
  describeOwner,
  foreignClusterTag,
  foreignMarks,
  foreignNameTag,
  fromFoundTags,
  isOwnedBy,
  protectionTag,
  takenOverTag,
  toTagList,
  uidTag,
} from './tags.ts';
import type { Tags } from './tags.ts';
import type { AlibabaWanted } from './wanted.ts';

export interface TakeOverRequest {
  readonly owner: Owner;
  readonly wanted: AlibabaWanted;
  readonly signal: AbortSignal;
}

export interface TakeOver {
  readonly balancer: { readonly id: string; readonly name: string; readonly address: string } | undefined;
  /** Calls in their order; none where all is done, or where nothing may be. */
  readonly steps: readonly Step[];
  /** What a controller would do in its first pass afterwards. */
  readonly first: Plan;
  readonly problems: readonly Problem[];
}

/** Most tags of a resource (SLB API reference). */
const mostTags = 20;

/** @param now monotonic milliseconds. */
export async function planTakeOver(
  { loader, recent }: { readonly loader: Loader; readonly recent: Recent },
  { owner, wanted, signal }: TakeOverRequest,
  now: number,
): Promise<TakeOver> {
  const found = await find(loader, owner, signal);
  const [balancer] = found;
  const refused = refusal(owner, wanted, found);
  if (balancer === undefined || refused !== undefined)
    return { balancer: shown(balancer), steps: [], first: emptyPlan, problems: refused ? [refused] : [] };

  const tags = tagsOf(balancer);
  const cluster =
    tags[takenOverTag] ?? tags[foreignClusterTag] ?? (await clusterOf(loader, owner, balancer, signal));
  if (cluster === undefined) {
    const problem = error(
      'NameConflict',
      `balancer ${balancer.LoadBalancerId} has no tag ${foreignClusterTag}, and its groups do not name one cluster`,
      `put the tag ${foreignClusterTag} with the id of this cluster on it`,
    );
    return { balancer: shown(balancer), steps: [], first: emptyPlan, problems: [problem] };
  }

  const added = missingTags(wanted, balancer, cluster);
  const left = Object.entries({ ...tags, ...added }).filter(([key]) => !foreignMarks.includes(key));
  const after: LoadBalancer = {
    ...balancer,
    LoadBalancerName: nameAfter(owner, wanted, balancer),
    Tags: { Tag: left.map(([TagKey, TagValue]) => ({ TagKey, TagValue })) },
  };
  const request = { owner, depth: 'full', wanted, previous: undefined, signal } as const;
  const observed = { ...nothing, balancer: await readBalancer({ loader, recent }, request, after) };
  const first = plan({ kind: 'present', wanted }, observed, { owner, now, memory: {} });
  const problems = [...first.problems, ...disturbances(first)];
  const room = Object.keys({ ...tags, ...added }).length;
  if (room > mostTags)
    problems.push(
      error(
        'ConflictingSettings',
        `balancer ${balancer.LoadBalancerId} would have ${room} tags for a moment, and has room for ${mostTags}`,
        'take some of its tags off',
      ),
    );
  return {
    balancer: shown(balancer),
    steps: hasErrors(problems) ? [] : steps(balancer, after, added),
    first,
    problems,
  };
}

/** By the other controller's tag or name, or by our mark where a take-over was begun before. */
async function find(loader: Loader, owner: Owner, signal: AbortSignal): Promise<readonly LoadBalancer[]> {
  const name = foreignBalancerName(owner.uid);
  const tagged = await loader.balancersWithTags(
    [
      { TagKey: foreignNameTag, TagValue: name },
      { TagKey: uidTag, TagValue: owner.uid },
    ],
    signal,
  );
  const named = await loader.balancersNamed(name, signal);
  return [...new Map([...tagged, ...named].map((one) => [one.LoadBalancerId, one])).values()];
}

function refusal(owner: Owner, wanted: AlibabaWanted, found: readonly LoadBalancer[]): Problem | undefined {
  const [balancer] = found;
  if (wanted.reuse !== undefined)
    return error(
      'UnsupportedAnnotation',
      `balancer ${wanted.reuse.id} is yours, and what another controller put on it is not taken over`,
      'move this Service by a second one, on other ports or another balancer',
    );
  if (found.length > 1)
    return error(
      'DuplicateBalancer',
      `more than one balancer could be meant: ${found
        .map(({ LoadBalancerId }) => LoadBalancerId)
        .toSorted()
        .join(', ')}`,
      'take the tags and the name off all but one',
    );
  if (balancer === undefined)
    return error(
      'BalancerMissing',
      `no balancer bears the tag ${foreignNameTag} with ${foreignBalancerName(owner.uid)}, or that name`,
      'check providers.alibaba.region, and whether the Service has a balancer of this kind (CLB)',
    );
  const id = balancer.LoadBalancerId;
  const tags = tagsOf(balancer);
  if (isOwnedBy(owner, tags) ? tags[takenOverTag] === undefined : tags[clusterTag] !== undefined)
    return error(
      'NameConflict',
      `balancer ${id} was not made by the cloud's own controller: ${describeOwner(owner, tags)}`,
      'nothing is to be taken over',
    );
  if (!isOwnedBy(owner, tags) && tags[foreignNameTag] !== foreignBalancerName(owner.uid))
    return error(
      'NameConflict',
      `balancer ${id} has the name that the cloud's own controller gives, but not its tag ${foreignNameTag}`,
      `put that tag on it, with ${foreignBalancerName(owner.uid)}, if it really is of this Service`,
    );
  const address = balancer.Address ?? '';
  if (wanted.published.length > 0 && wanted.hostname === undefined && !wanted.published.includes(address))
    return error(
      'ReplacementRequired',
      `the Service shows ${wanted.published.join(', ')}, and balancer ${id} has ${address}`,
      'let the other controller bring the status up to date first',
    );
  return undefined;
}

/** From the names of the groups, where all that name this Service agree. */
async function clusterOf(
  loader: Loader,
  { service }: Owner,
  { LoadBalancerId }: LoadBalancer,
  signal: AbortSignal,
): Promise<string | undefined> {
  const groups = (await loader.groups(LoadBalancerId, signal)) ?? [];
  const [namespace = '', name = ''] = service.split('/');
  const clusters = new Set(
    groups.flatMap(({ VServerGroupName = '' }) => {
      const [k8s, , itsName, itsNamespace, ...rest] = VServerGroupName.split('/');
      return k8s === 'k8s' && itsName === name && itsNamespace === namespace ? [rest.join('/')] : [];
    }),
  );
  return clusters.size === 1 ? [...clusters][0] : undefined;
}

/** Ours, the user's, and the two records: whose names are on it, and that its protection was no wish of the user. */
function missingTags(wanted: AlibabaWanted, balancer: LoadBalancer, cluster: string): Tags {
  const tags = tagsOf(balancer);
  const usual = balancer.DeleteProtection === 'on' && wanted.deleteProtection !== 'on';
  const all = { ...wanted.tags, [takenOverTag]: cluster, ...(usual ? { [protectionTag]: 'set' } : {}) };
  return Object.fromEntries(Object.entries(all).filter(([key, value]) => tags[key] !== value));
}

/** The other controller looks for its balancers by the first name too. */
function nameAfter(owner: Owner, wanted: AlibabaWanted, { LoadBalancerName = '' }: LoadBalancer): string {
  return LoadBalancerName === foreignBalancerName(owner.uid) ? wanted.name : LoadBalancerName;
}

function steps(before: LoadBalancer, after: LoadBalancer, added: Tags): readonly Step[] {
  const planning = emptyPlanning();
  const LoadBalancerId = before.LoadBalancerId;
  const subject = `balancer ${before.LoadBalancerName ?? LoadBalancerId}`;
  const needs: string[] = [];
  if (Object.keys(added).length > 0)
    needs.push(
      addStep(planning, 'TagResources', {
        id: 'tagResources',
        parameters: { ResourceType: 'instance', ResourceId: [LoadBalancerId], Tag: toTagList(added) },
        subject,
        reason: 'it shall bear the mark of this Service',
        risk: 'none',
      }),
    );
  const LoadBalancerName = after.LoadBalancerName ?? '';
  if (LoadBalancerName !== before.LoadBalancerName)
    needs.push(
      addStep(planning, 'SetLoadBalancerName', {
        id: 'setLoadBalancerName',
        parameters: { LoadBalancerId, LoadBalancerName },
        subject,
        reason: 'the other controller finds its balancers by this name',
        risk: 'none',
        needs: [...needs],
      }),
    );
  const TagKey = foreignMarks.filter((key) => tagsOf(before)[key] !== undefined);
  if (TagKey.length > 0)
    addStep(planning, 'UntagResources', {
      id: 'untagResources',
      parameters: { ResourceType: 'instance', ResourceId: [LoadBalancerId], TagKey },
      subject,
      reason: 'the other controller finds its balancers by these tags',
      risk: 'none',
      needs,
    });
  return planning.steps;
}

/** What of the first pass would be felt: then the balancer stays where it is. */
function disturbances({ steps: all, waits }: Plan): readonly Problem[] {
  const felt = [
    ...all
      .filter(({ risk }) => risk !== 'none')
      .map(({ operation, subject, reason }) => `${operation} ${subject} (${reason})`),
    ...waits.filter(({ reason }) => reason === 'HandingOver').map(({ message }) => message),
  ];
  if (felt.length === 0) return [];
  return [
    error(
      'TakeOverDisturbs',
      `the first pass afterwards would be felt: ${felt.join('; ')}`,
      'let the other controller catch up and try again, or change the Service so that it says what is there',
    ),
  ];
}

function shown(balancer: LoadBalancer | undefined): TakeOver['balancer'] {
  if (balancer === undefined) return undefined;
  return {
    id: balancer.LoadBalancerId,
    name: balancer.LoadBalancerName ?? '',
    address: balancer.Address ?? '',
  };
}

function tagsOf(balancer: LoadBalancer): Tags {
  return fromFoundTags(balancer.Tags?.Tag);
}

function error(reason: Problem['reason'], message: string, cure: string): Problem {
  return { severity: 'error', reason, field: 'metadata.uid', message, cure };
}
