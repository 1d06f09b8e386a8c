/** Carrying out one step: one call that writes, and where its answer says too little, a look beside it. */
import { SluiceError, isSluiceError } from '../../src/core/errors.ts';
import type { Outputs, Parameters, Step } from '../../src/core/plan.ts';
import { becomesVisible, createBalancer, notVisible } from './create.ts';
import { isGone } from './errors.ts';
import type { Loader } from './loader.ts';
import { isSlbOperation } from './operations.ts';
import type { SlbInput, SlbOperation, SlbOutput } from './operations.ts';
import { withTime } from './ordered.ts';
import type { Recent } from './recent.ts';
import type { ApplySources } from './sources.ts';
import { orderedTag } from './tags.ts';

/** How long a reference to something that we just made may fail before it is believed. */
const notYetVisibleMs = 10_000;

export async function apply(
  sources: ApplySources,
  step: Step,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<Outputs> {
  const { operation } = step;
  const { loader, recent } = sources;
  if (!isSlbOperation(operation)) {
    throw new SluiceError('bug', `${operation} is not a call that this provider makes`, {
      code: 'UnknownStep',
    });
  }
  if (operation === 'CreateLoadBalancer') {
    return createBalancer(sources, parameters as unknown as SlbInput<'CreateLoadBalancer'>, signal);
  }
  const group = idIn(parameters, 'VServerGroupId');
  const balancer = idIn(parameters, 'LoadBalancerId');
  try {
    if (operation === 'TagResources') return await tagResources(sources, parameters, signal);
    const output = await write(sources, operation, parameters, signal);
    if (operation === 'DeleteLoadBalancer') recent.delete(balancer);
    if (operation === 'DeleteVServerGroup') recent.delete(group);
    if (operation === 'ModifyLoadBalancerInternetSpec') noteOrder(recent, balancer, parameters);
    if (operation === 'CreateVServerGroup') {
      const { VServerGroupId } = output as SlbOutput<'CreateVServerGroup'>;
      recent.create(VServerGroupId);
      return { VServerGroupId };
    }
    if (operation === 'CreateDomainExtension') {
      return { DomainExtensionId: (output as SlbOutput<'CreateDomainExtension'>).DomainExtensionId };
    }
    if (operation === 'StartLoadBalancerListener') {
      return {
        Status: await statusAfter(
          loader,
          parameters as unknown as SlbInput<'StartLoadBalancerListener'>,
          signal,
        ),
      };
    }
    return {};
  } catch (error) {
    if (isSluiceError(error) && error.kind === 'gone') {
      if (operation === 'DeleteLoadBalancer') {
        recent.delete(balancer);
        return {};
      }
      if (
        operation === 'DeleteVServerGroup' ||
        operation === 'DeleteLoadBalancerListener' ||
        operation === 'DeleteDomainExtension'
      )
        return {};
      if (recent.wasCreated(balancer) || recent.wasCreated(group)) {
        throw new SluiceError(
          'busy',
          `${operation}: what it is about was made a moment ago and is not visible yet`,
          {
            code: error.code,
            retryAfterMs: notYetVisibleMs,
            action: operation,
            requestId: error.requestId,
            cause: error,
          },
        );
      }
    }
    throw error;
  }
}

/** What was made a moment ago may not be found yet: then the call is made once more as soon as it can be seen. */
async function write(
  sources: ApplySources,
  operation: SlbOperation,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<object> {
  const { door, recent, seen } = sources;
  const ids = balancersOf(parameters);
  const call = (): Promise<object> =>
    door.call(operation, parameters, signal).finally(() => {
      for (const id of ids) seen.wrote(id);
    });
  const [id = ''] = ids;
  const unproven = recent.unproven(id);
  if (unproven === undefined) return await call();
  // Nothing is known but that it is not there: the next pass begins with its creation.
  if (unproven.doubted) throw notVisible();
  try {
    const output = await call();
    recent.prove(id);
    return output;
  } catch (error) {
    if (!isGone(error)) throw error;
    if (await becomesVisible(sources, id, signal)) return await call();
    recent.disbelieve(id);
    throw notVisible(undefined, error);
  }
}

/** Members of a group are nothing that a survey sees. */
function balancersOf(parameters: Parameters): readonly string[] {
  const { LoadBalancerId, ResourceId } = parameters;
  return [LoadBalancerId, ResourceId].flat().filter((id) => typeof id === 'string');
}

/** Empty where the call is not about one. */
function idIn(parameters: Parameters, name: string): string {
  const id = parameters[name];
  return typeof id === 'string' ? id : '';
}

/** An order's tag gets its time here. */
async function tagResources(
  { door, clock, seen }: ApplySources,
  parameters: Parameters,
  signal: AbortSignal,
): Promise<Outputs> {
  const input = parameters as unknown as SlbInput<'TagResources'>;
  const order = input.Tag.find(({ Key }) => Key === orderedTag)?.Value;
  const Ordered = order === undefined ? undefined : withTime(order, clock.wall());
  const Tag = input.Tag.map((tag) => (tag.Key === orderedTag ? { ...tag, Value: Ordered } : tag));
  await door.call('TagResources', { ...input, Tag }, signal).finally(() => {
    for (const id of balancersOf(parameters)) seen.wrote(id);
  });
  return Ordered === undefined ? {} : { Ordered };
}

/** A change of the charge type shows from the next day: until then nobody orders it again. */
function noteOrder(recent: Recent, balancer: string, parameters: Parameters): void {
  const { InternetChargeType: internetChargeType, Bandwidth: bandwidth } =
    parameters as unknown as SlbInput<'ModifyLoadBalancerInternetSpec'>;
  recent.order(balancer, {
    ...(internetChargeType === undefined ? {} : { internetChargeType }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  });
}

/** Whether it runs already; where that cannot be told, it is taken to be starting, and the next look will tell. */
async function statusAfter(
  loader: Loader,
  { LoadBalancerId, ListenerPort, ListenerProtocol }: SlbInput<'StartLoadBalancerListener'>,
  signal: AbortSignal,
): Promise<string> {
  try {
    const listeners = await loader.listeners(LoadBalancerId, signal);
    const started = listeners?.find(
      (one) => one.ListenerPort === ListenerPort && one.ListenerProtocol === ListenerProtocol,
    );
    return started?.Status === 'running' ? started.Status : 'starting';
  } catch {
    return 'starting';
  }
}
