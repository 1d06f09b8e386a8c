/**
 * Certificates of https listeners for single domains (SNI): made, changed and taken off one by one. Pure.
 *
 * A domain that the Service names gets the certificate that it names, also where there was another one. Taken off is
 * only what we put on: the balancer's tag has a word for each such domain. Without the annotation nothing changes.
 */
import type { ObservedBalancer, ObservedListener } from './observed.ts';
import type { BalancerHandle } from './plan-balancer.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { domainsTag, joinRecord, recordWord, splitRecord, toTagList } from './tags.ts';
import type { WantedListener } from './wanted.ts';

export interface DomainCertificate {
  readonly id: string;
  readonly certificate: string;
}

function wordOf(port: number, domain: string): string {
  return recordWord(`${port} ${domain}`);
}

/** @param listeners those that exist or are made by the plan so far, with what is observed of them. */
export function planDomains(
  planning: Planning,
  balancer: BalancerHandle,
  present: ObservedBalancer | undefined,
  listeners: readonly { readonly wanted: WantedListener; readonly observed: ObservedListener | undefined }[],
): void {
  const record = splitRecord(present?.tags[domainsTag]);
  const words: string[] = [];
  const removals: string[] = [];
  for (const { wanted, observed } of listeners) {
    if (wanted.domains === undefined) continue;
    const there = observed?.domains ?? {};
    for (const [domain, certificate] of Object.entries(wanted.domains)) {
      words.push(wordOf(wanted.port, domain));
      planDomain(planning, balancer, wanted, { domain, certificate, found: there[domain] });
    }
    for (const [domain, { id }] of Object.entries(there)) {
      if (wanted.domains[domain] !== undefined || !record.has(wordOf(wanted.port, domain))) continue;
      removals.push(
        addStep(planning, 'DeleteDomainExtension', {
          id: `deleteDomain.${wanted.port}.${removals.length + 1}`,
          parameters: { DomainExtensionId: id },
          subject: subjectOf(wanted, domain, balancer),
          reason: 'the Service does not name it any more',
          risk: 'disruptive',
        }),
      );
    }
  }
  const text = joinRecord(words);
  if (words.length === 0 || text === joinRecord(record) || present?.ours === false) return;
  addStep(planning, 'TagResources', {
    id: 'tagResources.domains',
    parameters: {
      ResourceType: 'instance',
      ResourceId: [balancer.id],
      Tag: toTagList({ [domainsTag]: text }),
    },
    subject: `balancer ${balancer.name}`,
    reason: 'it shall be known which domains are ours',
    risk: 'none',
    needs: removals,
  });
}

function planDomain(
  planning: Planning,
  balancer: BalancerHandle,
  listener: WantedListener,
  {
    domain,
    certificate,
    found,
  }: {
    readonly domain: string;
    readonly certificate: string;
    readonly found: DomainCertificate | undefined;
  },
): void {
  const { port, key } = listener;
  const subject = subjectOf(listener, domain, balancer);
  const name = `${port}.${domain.replaceAll('.', '_')}`;
  if (found === undefined) {
    const made = `createListener.${key}`;
    addStep(planning, 'CreateDomainExtension', {
      id: `createDomain.${name}`,
      parameters: {
        LoadBalancerId: balancer.id,
        ListenerPort: port,
        Domain: domain,
        ServerCertificateId: certificate,
      },
      subject,
      reason: 'the Service names it',
      risk: 'none',
      needs: planning.steps.some(({ id }) => id === made) ? [made] : [],
    });
  } else if (found.certificate !== certificate) {
    addStep(planning, 'SetDomainExtensionAttribute', {
      id: `setDomain.${name}`,
      parameters: { DomainExtensionId: found.id, ServerCertificateId: certificate },
      subject,
      reason: `its certificate shall be ${certificate}, not ${found.certificate}`,
      risk: 'disruptive',
    });
  }
}

function subjectOf({ port }: WantedListener, domain: string, { name }: BalancerHandle): string {
  return `certificate for ${domain} on listener ${port}/https of ${name}`;
}
