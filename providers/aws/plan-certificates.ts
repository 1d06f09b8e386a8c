/**
 * Certificates beyond the default one, which AWS keeps in a list of their own and takes one a call.
 *
 * The list tells nothing about who added what, so a tag on the listener records ours; one that somebody added
 * by hand stays.
 */
import { ref } from '../../src/core/plan.ts';
import type { ObservedListener } from './observed.ts';
import type { BalancerHandle } from './plan-balancer.ts';
import { addStep } from './steps.ts';
import type { Planning } from './steps.ts';
import { certificatesTag, recordWord, splitRecord } from './tags.ts';
import type { WantedListener } from './wanted.ts';

/** @param after the step that makes or changes the listener, if there is one. */
export function planCertificates(
  planning: Planning,
  balancer: BalancerHandle,
  wanted: WantedListener,
  observed: ObservedListener | undefined,
  after: string | undefined,
): void {
  const [standard, ...more] = wanted.certificates;
  if (observed !== undefined && observed.moreCertificates === undefined) return;
  const present = observed?.moreCertificates ?? [];
  const recorded = splitRecord(observed?.tags[certificatesTag]);
  const arn = observed === undefined && after !== undefined ? ref(after, 'ListenerArn') : observed?.arn;
  if (arn === undefined) return;
  const needs = after === undefined ? [] : [after];
  const subject = `listener ${wanted.port} (${wanted.protocol}) of ${balancer.name}`;
  for (const certificate of more.filter((one) => !present.includes(one))) {
    addStep(planning, 'AddListenerCertificates', {
      id: `addListenerCertificates.${wanted.key}.${recordWord(certificate)}`,
      parameters: { ListenerArn: arn, Certificates: [{ CertificateArn: certificate }] },
      subject,
      reason: `certificate ${certificate} is asked for`,
      risk: 'none',
      needs,
    });
  }
  // Without TLS there is no list: AWS drops it with the protocol.
  if (wanted.protocol !== 'TLS') return;
  const obsolete = present.filter(
    (one) => one !== standard && !more.includes(one) && recorded.has(recordWord(one)),
  );
  for (const certificate of obsolete) {
    addStep(planning, 'RemoveListenerCertificates', {
      id: `removeListenerCertificates.${wanted.key}.${recordWord(certificate)}`,
      parameters: { ListenerArn: arn, Certificates: [{ CertificateArn: certificate }] },
      subject,
      reason: `certificate ${certificate} is no longer asked for`,
      risk: 'disruptive',
      needs,
    });
  }
}
