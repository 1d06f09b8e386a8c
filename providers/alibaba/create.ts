/**
 * Making a balancer, once.
 *
 * The client token is made from the cluster, the Service's UID and a generation, so that a creation whose answer
 * was lost is repeated and not doubled, by the next process too. A token may also lead to a balancer that has
 * been deleted since, or be taken by an earlier question: then the next generation is tried, after a look that
 * shows nothing. That look waits until something speaks against the answer: a balancer that we knew before, or
 * a write that does not find it.
 */
import { sleep } from '../../src/core/clock.ts';
import { isSluiceError, SluiceError } from '../../src/core/errors.ts';
import { shortHash } from '../../src/core/names.ts';
import type { Outputs } from '../../src/core/plan.ts';
import type { CreateLoadBalancerInput } from './client-types.ts';
import type { SlbOutput } from './operations.ts';
import type { Recent } from './recent.ts';
import type { ApplySources } from './sources.ts';
import { clusterTag, fromFoundTags, fromTagList, uidTag } from './tags.ts';

/** Generations that one step tries: each is a balancer made and deleted under the same UID. */
const mostGenerations = 8;
/** Pauses between looks at what a creation has answered with, in milliseconds. */
const looks: readonly number[] = [0, 1_000, 2_000, 4_000];
/** Between two tries to find what a client token has led to, in milliseconds. */
const recheckMs = 10_000;
const operation = 'CreateLoadBalancer';

export async function createBalancer(
  sources: ApplySources,
  input: CreateLoadBalancerInput,
  signal: AbortSignal,
): Promise<Outputs> {
  const { recent } = sources;
  const tags = fromTagList(input.Tag);
  const cluster = tags[clusterTag] ?? '';
  const uid = tags[uidTag] ?? '';
  let asked = input;
  let generation = recent.generation(uid);
  for (let tries = 0; tries < mostGenerations; tries++) {
    const outcome = await attempt(
      sources,
      asked,
      `sluice-${shortHash(32, cluster, uid, String(generation))}`,
      uid,
      signal,
    );
    if (outcome === 'spent') {
      generation = recent.nextGeneration(uid);
      continue;
    }
    if (outcome instanceof SluiceError) {
      // Refused for good: what the user makes of it next is another question.
      generation = recent.nextGeneration(uid);
      const elsewhere =
        outcome.code === 'VSwitchAvailableIpNotExist'
          ? await anotherVSwitch(sources, asked, signal)
          : undefined;
      if (elsewhere === undefined) throw outcome;
      asked = { ...asked, VSwitchId: elsewhere };
      continue;
    }
    recent.create(outcome['LoadBalancerId'] ?? '');
    return outcome;
  }
  throw new SluiceError(
    'busy',
    `${operation}: the last ${mostGenerations} client tokens lead to balancers that are gone`,
    {
      code: 'TokensSpent',
      action: operation,
      retryAfterMs: 60_000,
    },
  );
}

/** `spent`: the token leads nowhere. A `SluiceError`: refused for good. */
async function attempt(
  sources: ApplySources,
  input: CreateLoadBalancerInput,
  ClientToken: string,
  uid: string,
  signal: AbortSignal,
): Promise<Outputs | 'spent' | SluiceError> {
  const { door, loader, recent } = sources;
  const known = recent.answerTo(ClientToken) as SlbOutput<'CreateLoadBalancer'> | undefined;
  let made: SlbOutput<'CreateLoadBalancer'>;
  try {
    made = known ?? (await door.call(operation, { ...input, ClientToken }, signal));
  } catch (error) {
    if (!isSluiceError(error)) throw error;
    if (error.kind === 'ambiguous') recent.doubt(uid);
    if (error.code === 'LX_REQUEST_TOKEN_CONFLICT') {
      const named = await loader.balancersNamed(input.LoadBalancerName ?? '', signal);
      const mine = named.some((one) => fromFoundTags(one.Tags?.Tag)[uidTag] === uid);
      if (mine) throw error;
      return spent(recent, ClientToken, undefined);
    }
    if (error.kind === 'invalid') return error;
    throw error;
  }
  const id = made.LoadBalancerId;
  if (recent.wasDeleted(id)) return 'spent';
  const { Address, VpcId, VSwitchId, ResourceGroupId } = made;
  const outputs: Outputs = {
    LoadBalancerId: id,
    Address,
    VpcId: VpcId ?? '',
    VSwitchId: VSwitchId ?? '',
    ResourceGroupId: ResourceGroupId ?? '',
  };
  const isNew = known === undefined && !recent.isKnown(id);
  if (isNew) recent.believe(id, uid, ClientToken, made);
  else if (!(await becomesVisible(sources, id, signal)))
    return recent.wasSeen(id) ? 'spent' : spent(recent, ClientToken, made);
  else recent.own(id, uid);
  return outputs;
}

/** Looks for a balancer, for a few seconds. */
export async function becomesVisible(
  { loader, clock, recent }: Pick<ApplySources, 'loader' | 'clock' | 'recent'>,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  for (const ms of looks) {
    if (ms > 0) await sleep(clock, ms, signal);
    if ((await loader.balancer(id, signal)) === undefined) continue;
    recent.prove(id);
    return true;
  }
  return false;
}

/** What was made a moment ago may be unseen for a while: until that is over, another one is not made beside it. */
function spent(recent: Recent, token: string, answer: object | undefined): 'spent' {
  const ms = recent.puzzledMs(token, answer);
  if (ms === 0) return 'spent';
  throw notVisible(Math.min(ms, recheckMs));
}

/** What a client token led to may be on its way, or gone for long. */
export function notVisible(retryAfterMs = recheckMs, cause?: unknown): SluiceError {
  return new SluiceError('busy', `${operation}: what was made with this client token cannot be seen yet`, {
    code: 'NotVisibleYet',
    action: operation,
    retryAfterMs,
    cause,
  });
}

/** Of the settings' vswitches the one with the most free addresses; undefined where the user chose, or none is left. */
async function anotherVSwitch(
  { door, config }: ApplySources,
  { VSwitchId, VpcId }: CreateLoadBalancerInput,
  signal: AbortSignal,
): Promise<string | undefined> {
  const others = config.vSwitches.slice(1);
  if (VSwitchId !== config.vSwitches[0] || others.length === 0) return undefined;
  const free: { readonly id: string; readonly count: number }[] = [];
  for (const id of others) {
    const answer = await door.call('DescribeVSwitches', { VpcId, VSwitchId: id }, signal);
    const count = answer.VSwitches?.VSwitch?.[0]?.AvailableIpAddressCount ?? 0;
    if (count > 0) free.push({ id, count });
  }
  return free.toSorted((a, b) => b.count - a.count)[0]?.id;
}
