/**
 * Carrying out one step, and what becomes of a refused one.
 */
import type { Clock } from '../../src/core/clock.ts';
import { SluiceError, isSluiceError } from '../../src/core/errors.ts';
import type { Json, Outputs, Parameters, Step } from '../../src/core/plan.ts';
import type { ObjectKey, Uid } from '../../src/core/objects.ts';
import type { Door } from './door.ts';
import { balancerName } from './names.ts';
import type { Tags } from './observed.ts';
import { isElbOperation } from './operations.ts';
import type { ElbInput, ElbOperation, ElbOutput } from './operations.ts';
import type { Recent } from './recent.ts';
import { clusterTag, describeOwner, fromTagList, isOwnedBy, serviceTag, uidTag } from './tags.ts';
import { targetKey } from './target-key.ts';

export interface ApplySources {
  readonly door: Door;
  readonly recent: Recent;
  readonly clock: Clock;
}

/** How long a reference to something that we just made may fail before it is believed. */
const notYetVisibleMs = 10_000;
/**
 * A creation that answers with something older than this has met somebody else's of the same name. AWS refuses
 * requests of a clock that is off by as much, so a wrong clock cannot be taken for it.
 */
const olderThanOursMs = 300_000;

export async function apply(
  { door, recent, clock }: ApplySources,
  step: Step,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<Outputs> {
  const { operation } = step;
  if (!isElbOperation(operation)) {
    throw new SluiceError('bug', `${operation} is not a call that this provider makes`, {
      code: 'UnknownStep',
    });
  }
  const named = arnsIn(parameters);
  if (!(await recent.mayTry(named))) throw notYetVisible(operation, undefined);
  try {
    const output = await door.call(operation, parameters, signal);
    recent.accept(named);
    if (operation === 'CreateLoadBalancer') {
      refuseOlder(output as ElbOutput<'CreateLoadBalancer'>, clock);
      await refuseAnothers(door, output as ElbOutput<'CreateLoadBalancer'>, parameters, signal);
    }
    const outputs = outputsOf(operation, output);
    for (const arn of createdArns(operation, outputs)) recent.create(arn);
    for (const arn of deletedArns(operation, parameters)) recent.delete(arn);
    noteTargets(recent, operation, parameters);
    return outputs;
  } catch (error) {
    if (isSluiceError(error) && error.kind === 'ambiguous' && operation === 'DeregisterTargets')
      noteTargets(recent, operation, parameters);
    const uid = isSluiceError(error) && error.kind === 'ambiguous' ? ownerOfCreation(parameters) : undefined;
    if (uid !== undefined) recent.doubt(uid);
    if (isSluiceError(error) && error.kind === 'gone') {
      if (isDeletion(operation)) {
        for (const arn of deletedArns(operation, parameters)) recent.delete(arn);
        return {};
      }
      const young = named.filter((arn) => recent.wasCreated(arn));
      if (young.length > 0) {
        recent.refuse(young);
        throw notYetVisible(operation, error);
      }
    }
    throw error;
  } finally {
    recent.tried(named);
  }
}

function notYetVisible(operation: string, cause: SluiceError | undefined): SluiceError {
  return new SluiceError('busy', `${operation}: what it names was made a moment ago and is not visible yet`, {
    code: cause?.code ?? 'NotYetVisible',
    retryAfterMs: notYetVisibleMs,
    action: operation,
    requestId: cause?.requestId,
    cause,
  });
}

/**
 * AWS answers a creation with an existing balancer of the same name and settings, whoever's it is. The next
 * look finds out by its tags; until then nothing is built on it.
 */
function refuseOlder(output: ElbOutput<'CreateLoadBalancer'>, clock: Clock): void {
  const balancer = output.LoadBalancers?.[0];
  const created = balancer?.CreatedTime?.getTime();
  if (created === undefined || clock.wall() - created < olderThanOursMs) return;
  throw new SluiceError(
    'conflict',
    `CreateLoadBalancer: a balancer named "${balancer?.LoadBalancerName ?? ''}" exists already`,
    { code: 'DuplicateLoadBalancerName', action: 'CreateLoadBalancer' },
  );
}

/**
 * A name that a user chose may have been another Service's a moment ago, and the look before did not show it
 * yet. A name of ours holds the UID: what bears it is ours, if only from a try that was cut off.
 */
async function refuseAnothers(
  door: Door,
  output: ElbOutput<'CreateLoadBalancer'>,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<void> {
  const wanted = fromTagList(parameters['Tags'] as ElbInput<'AddTags'>['Tags']);
  const { LoadBalancerArn: arn, LoadBalancerName: name = '' } = output.LoadBalancers?.[0] ?? {};
  const owner = {
    cluster: { name: '', id: wanted[clusterTag] ?? '' },
    service: (wanted[serviceTag] ?? '') as ObjectKey,
    uid: (wanted[uidTag] ?? '') as Uid,
  };
  if (arn === undefined || name === balancerName(owner)) return;
  let found: Tags;
  try {
    const answer = await door.call('DescribeTags', { ResourceArns: [arn] }, signal);
    found = fromTagList(answer.TagDescriptions?.[0]?.Tags);
  } catch (error) {
    if (!isSluiceError(error) || error.kind !== 'gone') throw error;
    throw new SluiceError('busy', 'CreateLoadBalancer: whose the balancer is cannot be seen yet', {
      code: error.code,
      retryAfterMs: notYetVisibleMs,
      action: 'CreateLoadBalancer',
      cause: error,
    });
  }
  if (isOwnedBy(owner, found)) return;
  throw new SluiceError(
    'conflict',
    `CreateLoadBalancer: the balancer named "${name}" is ${describeOwner(owner, found)}`,
    { code: 'DuplicateLoadBalancerName', action: 'CreateLoadBalancer' },
  );
}

/** The fields that later steps may refer to. */
function outputsOf(operation: ElbOperation, output: object): Outputs {
  if (operation === 'CreateLoadBalancer') {
    const made = (output as ElbOutput<'CreateLoadBalancer'>).LoadBalancers?.[0];
    return present({
      LoadBalancerArn: made?.LoadBalancerArn,
      DNSName: made?.DNSName,
      VpcId: made?.VpcId,
      State: made?.State?.Code,
    });
  }
  if (operation === 'CreateTargetGroup') {
    const made = (output as ElbOutput<'CreateTargetGroup'>).TargetGroups?.[0];
    return present({ TargetGroupArn: made?.TargetGroupArn });
  }
  if (operation === 'CreateListener') {
    const made = (output as ElbOutput<'CreateListener'>).Listeners?.[0];
    return present({ ListenerArn: made?.ListenerArn });
  }
  return {};
}

function present(values: Readonly<Record<string, string | undefined>>): Outputs {
  const kept: Record<string, string> = {};
  for (const [key, value] of Object.entries(values)) if (value !== undefined) kept[key] = value;
  return kept;
}

/** Whom a creation marks what it makes for; undefined for other calls. */
function ownerOfCreation(parameters: Parameters): string | undefined {
  const tags = (parameters['Tags'] ?? []) as unknown as readonly {
    readonly Key: string;
    readonly Value: string;
  }[];
  return tags.find(({ Key }) => Key === uidTag)?.Value;
}

function isDeletion(operation: ElbOperation): boolean {
  return (
    operation === 'DeleteLoadBalancer' || operation === 'DeleteTargetGroup' || operation === 'DeleteListener'
  );
}

function createdArns(operation: ElbOperation, outputs: Outputs): readonly string[] {
  if (!operation.startsWith('Create')) return [];
  return Object.values(outputs).filter((value) => value.startsWith('arn:'));
}

function deletedArns(operation: ElbOperation, parameters: Parameters): readonly string[] {
  return isDeletion(operation) ? arnsIn(parameters) : [];
}

function arnsIn(value: Json | undefined): readonly string[] {
  if (typeof value === 'string') return value.startsWith('arn:') ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((part: Json | undefined) => arnsIn(part));
}

interface Target {
  readonly Id: string;
  readonly Port: number;
}

/**
 * A batch of targets that AWS refused, in smaller pieces.
 *
 * Because of some of them: AWS names the offenders in its message; where it can be read they are set apart at
 * once, and where it cannot, halves lead to them. Because there is no room for all: one alone shows whether
 * there is any, then halves fill it, each tried only while the one before found room. A single one that is
 * refused is given up: the empty list says so.
 */
export function split(step: Step, parameters: Parameters, error: SluiceError): readonly Step[] | undefined {
  const cause = causeOf(step.operation, error.code);
  if (cause === undefined) return undefined;
  const targets = (parameters['Targets'] ?? []) as unknown as readonly Target[];
  if (targets.length <= 1) return [];
  const parts = cause === 'room' ? probeAndHalves(targets) : partition(targets, error.message);
  return parts.map((part, i): Step => {
    const effect = step.effect.kind === 'addTargets' ? { ...step.effect, count: part.length } : step.effect;
    return {
      ...step,
      id: `${step.id}/${i + 1}`,
      parameters: { ...parameters, Targets: part.map(({ Id, Port }) => ({ Id, Port })) },
      reason: `${step.reason} (in parts: ${error.code})`,
      effect,
      needs: cause === 'room' && i > 0 ? [`${step.id}/${i}`] : [],
    };
  });
}

/** Whether some targets of a batch were refused for themselves, or the batch as such is too large. */
function causeOf(operation: string, code: string): 'targets' | 'room' | undefined {
  if (operation !== 'RegisterTargets' && operation !== 'DeregisterTargets') return undefined;
  if (code === 'InvalidTarget' || code === 'TooManyRegistrationsForTargetId') return 'targets';
  return code === 'TooManyTargets' ? 'room' : undefined;
}

function partition(targets: readonly Target[], message: string): readonly (readonly Target[])[] {
  const named = new Set(message.match(/\bi-[0-9A-Za-z-]+/g));
  const bad = targets.filter(({ Id }) => named.has(Id));
  if (bad.length > 0 && bad.length < targets.length) {
    return [targets.filter(({ Id }) => !named.has(Id)), ...bad.map((one) => [one])];
  }
  return halves(targets);
}

/** Where there is no room, which is so at every later look, the first piece shows it by one call. */
function probeAndHalves(targets: readonly Target[]): readonly (readonly Target[])[] {
  return [targets.slice(0, 1), ...halves(targets.slice(1))];
}

function halves(targets: readonly Target[]): readonly (readonly Target[])[] {
  const half = Math.ceil(targets.length / 2);
  return [targets.slice(0, half), targets.slice(half)].filter((part) => part.length > 0);
}

function noteTargets(recent: Recent, operation: ElbOperation, parameters: Parameters): void {
  if (operation !== 'RegisterTargets' && operation !== 'DeregisterTargets') return;
  const { TargetGroupArn: group = '', Targets = [] } = parameters as unknown as ElbInput<typeof operation>;
  for (const { Id: instance = '', Port: port = 0 } of Targets) {
    const target = targetKey({ instance, port });
    if (operation === 'RegisterTargets') recent.register(group, target);
    else recent.deregister(group, target);
  }
}
