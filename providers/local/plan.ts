/**
 * From what a Service has to what it is to have, one write of a ServiceAddress each. Pure.
 *
 * Order: new addresses are written down first; an address that is left goes only when all that it is to have works, so
 * that a move never takes the last address away. What the pools took from it goes at once.
 */
import { serviceAddressName } from '../../src/core/address-objects.ts';
import type { Uid } from '../../src/core/objects.ts';
import { emptyPlan, type Json, type Plan, type Step, type Wait } from '../../src/core/plan.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { Goal, Owner, PlanContext } from '../../src/core/provider.ts';
import type { LocalConfig } from './config.ts';
import { answerOf, isOf, letGoMs, type LocalObserved, type SeenAddress } from './observed.ts';
import type { LocalSettings } from './settings.ts';
import type { LocalWanted } from './wanted.ts';

export const operations = {
  create: 'create serviceaddresses',
  change: 'patch serviceaddresses',
  remove: 'delete serviceaddresses',
} as const;

/** A probe that could not be carried out is asked for again after this long. */
const failedProbeMs = 10_000;

export function plan(
  config: LocalConfig,
  goal: Goal<LocalSettings, LocalWanted>,
  observed: LocalObserved,
  { owner }: Pick<PlanContext, 'owner'>,
): Plan {
  if (goal.kind === 'absent') {
    const mine = observed.addresses.filter((one) => isOf(one, owner.uid));
    return {
      ...emptyPlan,
      steps: mine.map((one) => letGo(config, one, owner, 'the Service needs it no more')),
    };
  }
  const { wanted } = goal;
  if (wanted.rival !== null) return { ...emptyPlan, problems: [rivalProblem(wanted.rival)] };
  if (observed.outcome === null) return { ...emptyPlan, steps: [unasked(wanted, owner, config)] };
  const { grants, lack } = observed.outcome;
  const steps: Step[] = [];
  const waits: Wait[] = [];
  for (const grant of grants) {
    const object = observed.addresses.find(({ address }) => address === grant.address);
    const published = wanted.published.includes(grant.address);
    if (object === undefined) steps.push(make(config, grant, owner, published));
    else if (!isOf(object, owner.uid)) steps.push(join(config, object, owner, grant.pool));
    else if (object.pool !== grant.pool)
      steps.push(change(object, { pool: grant.pool }, 'its range is in another pool now'));
    else askAgain(object, observed, steps, waits);
  }
  const settled = grants.every(({ address }) => works(observed, owner.uid, address));
  const staying = new Set(observed.outcome.leaving.map(({ address }) => address));
  for (const object of observed.addresses) {
    if (!isOf(object, owner.uid) || grants.some(({ address }) => address === object.address)) continue;
    if (staying.has(object.address) && !settled) continue;
    const why = staying.has(object.address) ? 'what takes its place works' : 'it cannot have it any more';
    steps.push(letGo(config, object, owner, why));
  }
  return { steps, waits, problems: problemsOf(wanted, observed, lack), memory: {} };
}

/** Written down as the Service's, and nothing on the link speaks against it. */
export function works({ addresses }: LocalObserved, owner: Uid, address: string): boolean {
  const object = addresses.find((one) => one.address === address);
  if (object === undefined || !isOf(object, owner)) return false;
  const answer = answerOf(object);
  return answer === 'given' || answer === 'free';
}

function askAgain(object: SeenAddress, observed: LocalObserved, steps: Step[], waits: Wait[]): void {
  const answer = answerOf(object);
  const again = (after: number, why: string): void => {
    const due = Date.parse(object.probe?.at ?? '') + after - observed.at;
    if (due <= 0) steps.push(change(object, { probe: 'ask' }, why));
    else waits.push({ reason: 'AddressProbing', message: why, recheckMs: Math.max(100, due) });
  };
  if (answer === 'failed') again(failedProbeMs, 'the probe could not be carried out');
  else if (answer === 'taken' && observed.stillOurs.includes(object.address))
    again(letGoMs, 'the node that held it last had not let go');
  // Something else had it; the pools would not give it if that were not over.
  else if (answer === 'taken') steps.push(change(object, { probe: 'ask' }, 'it has rested'));
}

/** Before anybody asked the pools: what a plan without a cluster shows. */
function unasked(wanted: LocalWanted, owner: Owner, config: LocalConfig): Step {
  const address = wanted.addresses[0] ?? 'chosen from the pools';
  return {
    id: 'create serviceaddress',
    operation: operations.create,
    parameters: {
      address,
      pool: wanted.pool ?? 'the first that serves it',
      services: [servicePart(owner)],
      probe: config.probe ? 'ask' : 'none',
    },
    subject: `address of ${owner.service}`,
    reason: 'the Service has no address yet',
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
  };
}

function make(
  config: LocalConfig,
  { address, pool }: { readonly address: string; readonly pool: string },
  owner: Owner,
  published: boolean,
): Step {
  // What clients use already is not asked about: our own node would answer.
  const probe = config.probe && !published ? 'ask' : 'none';
  const name = serviceAddressName(address);
  return step(operations.create, name, address, {
    parameters: { name, address, pool, services: [servicePart(owner)], probe },
    reason: published
      ? 'the status shows it and nothing is written down of it'
      : 'the pools give it to the Service',
  });
}

/** The object is there: others share the address, or it was kept for somebody. */
function join(config: LocalConfig, object: SeenAddress, owner: Owner, pool: string): Step {
  const alone = object.services.length === 0;
  const probe = !alone ? 'keep' : config.probe ? 'ask' : 'none';
  const services = [...object.services.map(({ key, uid }) => ({ service: key, uid })), servicePart(owner)];
  const again = object.rememberedFor?.key === owner.service;
  const why = !alone
    ? 'the Service shares it'
    : again
      ? 'the Service had it before'
      : 'the pools give it to the Service';
  return change(object, { services, pool, probe }, why);
}

function letGo(config: LocalConfig, object: SeenAddress, owner: Owner, reason: string): Step {
  const others = object.services.filter(({ uid }) => uid !== owner.uid);
  const services = others.map(({ key, uid }) => ({ service: key, uid }));
  if (others.length > 0) return { ...change(object, { services }, reason), risk: 'disruptive' };
  const answer = answerOf(object);
  if (answer === 'taken')
    return { ...change(object, { services }, 'something else on the link has it'), risk: 'disruptive' };
  if (config.remember > 0 && (answer === 'free' || answer === 'given')) {
    const kept = { service: owner.service, forMs: config.remember };
    return { ...change(object, { services, kept, probe: 'none' }, reason), risk: 'disruptive' };
  }
  const { name, uid, resourceVersion, address } = object;
  return {
    ...step(operations.remove, name, address, { parameters: { name, uid, resourceVersion }, reason }),
    risk: 'destructive',
  };
}

/** `probe`: ask the link anew, keep the question and its answer, or have none. */
interface Change {
  readonly pool?: string;
  readonly services?: readonly Json[];
  readonly kept?: { readonly service: string; readonly forMs: number };
  readonly probe?: 'ask' | 'keep' | 'none';
}

function change(object: SeenAddress, what: Change, reason: string): Step {
  const { name, uid, resourceVersion, address, probeAfter } = object;
  const services = what.services ?? object.services.map(({ key, uid: of }) => ({ service: key, uid: of }));
  return step(operations.change, name, address, {
    parameters: {
      name,
      uid,
      resourceVersion,
      address,
      pool: what.pool ?? object.pool,
      services,
      ...(what.kept === undefined ? {} : { kept: what.kept }),
      probe: what.probe ?? 'keep',
      ...(probeAfter === null ? {} : { probeAfter }),
    },
    reason,
  });
}

function step(
  operation: string,
  name: string,
  address: string,
  { parameters, reason }: Pick<Step, 'parameters' | 'reason'>,
): Step {
  return {
    id: `${operation} ${name}`,
    operation,
    parameters,
    subject: `address ${address}`,
    reason,
    risk: 'none',
    effect: { kind: 'other' },
    needs: [],
  };
}

function servicePart({ service, uid }: Owner): { readonly service: string; readonly uid: string } {
  return { service, uid };
}

function rivalProblem(message: string): Problem {
  return {
    severity: 'warning',
    reason: 'ForeignWriter',
    field: 'status.loadBalancer',
    message,
    cure: 'until then its status is left as it is',
  };
}

/** What it has is less than it asks for, or other than it should be. */
function problemsOf(
  wanted: LocalWanted,
  { outcome, draining, passedOver }: LocalObserved,
  lack: NonNullable<LocalObserved['outcome']>['lack'],
): readonly Problem[] {
  const problems: Problem[] = [];
  if (lack !== undefined && outcome !== null && outcome.grants.length > 0) {
    problems.push({
      severity: 'warning',
      reason: lack.reason,
      field: wanted.addresses.length > 0 ? 'spec.loadBalancerIP' : 'spec.ipFamilies',
      message: lack.message,
      cure: `until then it keeps ${outcome.grants.map(({ address }) => address).join(', ')}`,
    });
  }
  for (const message of passedOver) {
    problems.push({
      severity: 'warning',
      reason: 'AddressTaken',
      field: 'status.loadBalancer',
      message,
      cure: 'find the device by its MAC address, or take the address out of the pool',
    });
  }
  for (const address of draining) {
    problems.push({
      severity: 'warning',
      reason: 'AddressDraining',
      field: 'status.loadBalancer',
      message: `${address} is in no pool any more and stays with the Service`,
      cure: 'put it back into a pool, or agree to another one by annotation sluice.dev/allow-move',
    });
  }
  return problems;
}
