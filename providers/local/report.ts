/** What people are told: the addresses that work, what the others wait for, and which node holds them. Pure. */
import type { Ingress } from '../../src/core/objects.ts';
import type { Address, TargetsReport } from '../../src/core/provider.ts';
import type { ReasonCode } from '../../src/core/reasons.ts';
import type { LocalConfig } from './config.ts';
import { answerOf, isOf, type LocalObserved } from './observed.ts';
import { works } from './plan.ts';
import type { LocalWanted } from './wanted.ts';

const probingMs = 10_000;
const waitingMs = 60_000;

export function addresses(config: LocalConfig, wanted: LocalWanted, observed: LocalObserved): Address {
  const { outcome } = observed;
  if (wanted.rival !== null)
    return {
      kind: 'pending',
      ingress: [],
      message: wanted.rival,
      reason: 'ForeignWriter',
      recheckMs: waitingMs,
    };
  if (outcome === null) return { kind: 'none' };
  const { grants, leaving, lack } = outcome;
  const ready = grants.filter(({ address }) => works(observed, wanted.uid, address));
  // While one of a family comes up, the one that it takes the place of goes on.
  const standing = leaving.filter(({ family, address }) => {
    if (!wanted.families.includes(family)) return false;
    const replaced = ready.some((one) => one.family === family);
    return !replaced && wanted.published.includes(address);
  });
  const shown = [...ready, ...standing].map(({ address }): Ingress => ({ ip: address, ipMode: 'VIP' }));
  const pending = grants.filter((grant) => !ready.includes(grant));
  const alone = pending.length === 0 || ready.length > 0 || standing.length > 0;
  if (shown.length > 0 && alone) return { kind: 'ready', ingress: shown };
  const lost = wanted.published.length > 0 ? ({ withdraw: true } as const) : {};
  const [first] = pending;
  if (first === undefined) {
    const { reason, message } = lack ?? { reason: 'NoPool' as const, message: 'no pool gave an address' };
    return { kind: 'pending', ingress: [], reason, message, recheckMs: waitingMs, ...lost };
  }
  const why = waitOf(config, first.address, observed);
  // Nothing is shown early: an address that somebody else may have is no address.
  return { kind: 'pending', ingress: [], recheckMs: probingMs, ...why, ...lost };
}

/** What an address that was given out waits for. */
function waitOf(
  config: LocalConfig,
  address: string,
  observed: LocalObserved,
): { readonly message: string; readonly reason?: ReasonCode } {
  if (observed.homeless.includes(address))
    return {
      reason: 'NoEligibleNode',
      message: `${address} is given to the Service, and no node may announce it`,
    };
  const object = observed.addresses.find((one) => one.address === address);
  if (object === undefined) return { message: `${address} is given to the Service` };
  const { probe, probeAfter } = object;
  switch (answerOf(object)) {
    case 'failed':
      return {
        reason: 'ProbeFailed',
        message: `node ${probe?.node ?? ''} could not ask the link on ${probe?.interface ?? ''} about ${address}: ${probe?.message ?? 'no reason given'}`,
      };
    case 'asked':
      if (observed.at - Date.parse(probeAfter ?? '') >= config.noAgentAfter)
        return {
          reason: 'NoAgent',
          message: `no agent has said whether ${address} is free, so it is not given out`,
        };
      return { message: `Asking the link whether anybody has ${address}` };
    case 'taken':
      return { message: `The node that held ${address} last lets go of it` };
    case 'given':
    case 'free':
      return { message: `${address} is free` };
  }
}

/** One group for each address that works: the node that holds it is its only target. */
export function targets(config: LocalConfig, wanted: LocalWanted, observed: LocalObserved): TargetsReport {
  const groups = (observed.outcome?.grants ?? [])
    .filter(({ address }) => works(observed, wanted.uid, address))
    .map(({ address }) => {
      const object = observed.addresses.find((one) => one.address === address);
      const held = object?.holder !== null || !config.probe;
      const reason =
        object?.complaint === '' ? 'NotAnnounced: no node holds it yet' : (object?.complaint ?? '');
      return {
        listener: address,
        healthy: held ? 1 : 0,
        total: 1,
        reason: held ? '' : reason,
        settling: !held,
      };
    });
  return { groups };
}

export function isGone({ owner, addresses: all }: LocalObserved): boolean {
  return owner === null || !all.some((one) => isOf(one, owner));
}
