/**
 * Server certificates of https listeners, looked at before they are put in use: the cloud takes an expired one
 * without a word.
 *
 * Pure.
 */
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import { prefix } from './annotation-row.ts';
import type { CertificateState, Certificates } from './certificate-state.ts';
import type { ObservedListener, Setting } from './observed.ts';
import type { AlibabaWanted, WantedListener } from './wanted.ts';

/** The ids that a Service names, each once. */
export function certificatesOf(wanted: AlibabaWanted | undefined): readonly string[] {
  const ids = (wanted?.listeners ?? []).flatMap((listener) => [
    certificateOf(listener),
    ...Object.values(listener.domains ?? {}),
  ]);
  return [...new Set(ids.filter((id) => id !== undefined))];
}

function certificateOf({
  protocol,
  settings,
}: Pick<WantedListener, 'protocol' | 'settings'>): string | undefined {
  const id = protocol === 'https' ? settings['ServerCertificateId'] : undefined;
  return typeof id === 'string' ? id : undefined;
}

/**
 * What is to be said of the certificates that the Service names, and the listeners as they may be made: one that
 * would get a certificate that is no good keeps what it has, or is not made.
 */
export function checkCertificates(
  listeners: readonly WantedListener[],
  observed: readonly ObservedListener[],
  certificates: Certificates,
): {
  readonly listeners: readonly WantedListener[];
  /** TCP ports whose listener cannot be made: what is there meanwhile stays. */
  readonly withheld: ReadonlySet<number>;
  readonly problems: readonly Problem[];
} {
  const problems = new Map<string, Problem>();
  const withheld = new Set<number>();
  const usable = listeners.flatMap((given): readonly WantedListener[] => {
    const listener = withGoodDomains(given, observed, certificates, problems);
    const id = certificateOf(listener);
    const state = id === undefined ? undefined : certificates[id];
    if (id === undefined || state === undefined || state.kind === 'good') return [listener];
    const present = observed.find(
      (one) => one.port === listener.port && one.protocol === 'https' && one.ours,
    );
    const inUse = present?.settings['ServerCertificateId'];
    if (inUse === id || state.kind === 'expiring') {
      problems.set(`${id} ${state.kind}`, inUseProblem(id, state));
      return [listener];
    }
    problems.set(`${id} unusable`, unusable(id, state, inUse));
    if (present !== undefined) return [{ ...listener, settings: withCertificate(listener, inUse) }];
    withheld.add(listener.port);
    return [];
  });
  // What would send callers there waits, too.
  for (const { port, forward } of listeners)
    if (forward !== undefined && withheld.has(forward)) withheld.add(port);
  return {
    listeners: usable.filter(({ port, transport }) => transport === 'UDP' || !withheld.has(port)),
    withheld,
    problems: [...problems.values()],
  };
}

/** A domain whose certificate is no good keeps the one that it has, or has none of its own. */
function withGoodDomains(
  listener: WantedListener,
  observed: readonly ObservedListener[],
  certificates: Certificates,
  problems: Map<string, Problem>,
): WantedListener {
  if (listener.domains === undefined) return listener;
  const there = observed.find((one) => one.port === listener.port && one.protocol === 'https')?.domains;
  const domains = Object.entries(listener.domains).flatMap(([domain, id]) => {
    const state = certificates[id];
    if (state === undefined || state.kind === 'good') return [[domain, id] as const];
    const inUse = there?.[domain]?.certificate;
    if (inUse === id || state.kind === 'expiring') {
      problems.set(`${id} ${state.kind}`, inUseProblem(id, state, 'domain-extensions'));
      return [[domain, id] as const];
    }
    problems.set(`${id} unusable`, unusable(id, state, inUse, 'domain-extensions'));
    return inUse === undefined ? [] : [[domain, inUse] as const];
  });
  return { ...listener, domains: Object.fromEntries(domains) };
}

function withCertificate(
  { settings }: WantedListener,
  inUse: Setting | undefined,
): WantedListener['settings'] {
  const { ServerCertificateId: _, ...rest } = settings;
  return inUse === undefined ? rest : { ...rest, ServerCertificateId: inUse };
}

function inUseProblem(id: string, state: CertificateState, word = 'cert-id'): Problem {
  const what =
    state.kind === 'missing'
      ? 'is not in the account any more'
      : 'on' in state
        ? `${state.kind === 'expired' ? 'expired' : 'expires'} on ${state.on}`
        : 'is no good';
  return {
    severity: 'warning',
    reason: 'CertificateExpiring',
    field: annotationField(`${prefix}${word}`),
    message: `certificate ${id}, which is in use, ${what}`,
    cure: 'upload a new one and name it here',
  };
}

function unusable(
  id: string,
  state: CertificateState,
  inUse: Setting | undefined,
  word = 'cert-id',
): Problem {
  const what = 'on' in state ? `expired on ${state.on}` : 'is not in the account';
  const instead = inUse === undefined ? 'it is not put in use' : `${String(inUse)} stays in use`;
  return {
    severity: 'error',
    reason: 'CertificateUnusable',
    field: annotationField(`${prefix}${word}`),
    message: `certificate ${id} ${what}; ${instead}`,
    cure: 'name a certificate of this region that is valid',
  };
}
