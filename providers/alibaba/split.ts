/**
 * A batch of members that the cloud refused, in smaller pieces. Pure.
 *
 * Because one of them is at fault: halves lead to it. Because the batch is too large: halves fit. Because there is
 * no room for all: one alone shows whether there is any, then halves fill it, each tried only while the one before
 * found room. A single one that is refused is given up: the empty list says so. A group that was to be made with
 * them is made without, and then they are put in.
 */
import type { SluiceError } from '../../src/core/errors.ts';
import { ref } from '../../src/core/plan.ts';
import type { Parameters, Step } from '../../src/core/plan.ts';
import type { BackendServer } from './client-types-groups.ts';
import { isAboutServers } from './error-codes.ts';

const operations: ReadonlySet<string> = new Set([
  'CreateVServerGroup',
  'AddVServerGroupBackendServers',
  'RemoveVServerGroupBackendServers',
  'SetVServerGroupAttribute',
]);

export function split(step: Step, parameters: Parameters, error: SluiceError): readonly Step[] | undefined {
  if (!operations.has(step.operation)) return undefined;
  const room = error.code === 'InstanceBackendServerNumberOverLimit';
  const one = isAboutServers(error.code) || error.code.startsWith('QuotaLimitExceeds.BackendServer');
  if (!room && !one && error.code !== 'TooManyBackendServers') return undefined;
  const servers = (parameters['BackendServers'] ?? []) as unknown as readonly BackendServer[];
  if (step.operation === 'CreateVServerGroup')
    return servers.length === 0 ? undefined : groupFirst(step, parameters, servers, error);
  if (servers.length <= 1) return [];
  const parts = room ? [servers.slice(0, 1), ...halves(servers.slice(1))] : halves(servers);
  return parts.map((part, i): Step => ({
    ...step,
    id: `${step.id}/${i + 1}`,
    parameters: { ...parameters, BackendServers: part.map((server) => ({ ...server })) },
    reason: `${step.reason} (in parts: ${error.code})`,
    effect:
      step.effect.kind === 'addTargets' && step.effect.count > 0
        ? { ...step.effect, count: part.length }
        : step.effect,
    needs: room && i > 0 ? [`${step.id}/${i}`] : [],
  }));
}

function groupFirst(
  step: Step,
  { BackendServers: _members, ...parameters }: Parameters,
  servers: readonly BackendServer[],
  error: SluiceError,
): readonly Step[] {
  const made = `${step.id}/1`;
  return [
    { ...step, id: made, parameters },
    {
      ...step,
      id: `${step.id}/2`,
      operation: 'AddVServerGroupBackendServers',
      parameters: {
        VServerGroupId: ref(made, 'VServerGroupId'),
        BackendServers: servers.map((server) => ({ ...server })),
      },
      reason: `they could not come with the group (${error.code})`,
      effect: { kind: 'addTargets', group: step.subject, count: servers.length },
      needs: [made],
    },
  ];
}

function halves<Item>(items: readonly Item[]): readonly (readonly Item[])[] {
  const half = Math.ceil(items.length / 2);
  return [items.slice(0, half), items.slice(half)].filter((part) => part.length > 0);
}
