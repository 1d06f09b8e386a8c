/** Certificates of TLS listeners: one default, and more for other server names. */

import type {
  AddListenerCertificatesInput,
  AddListenerCertificatesOutput,
  Certificate,
  DescribeListenerCertificatesInput,
  DescribeListenerCertificatesOutput,
  RemoveListenerCertificatesInput,
  RemoveListenerCertificatesOutput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { findListener, listenersOf } from './context.ts';
import type { Context } from './context.ts';
import { CloudError, validation } from './errors.ts';
import { pageOfList } from './paging.ts';

/** The certificate's ARN. Throws CertificateNotFound for one that does not exist or is no certificate at all. */
export function readCertificate(context: Context, certificate: Certificate): string {
  if (certificate.IsDefault !== undefined) throw validation('IsDefault cannot be set on a certificate');
  const arn = certificate.CertificateArn ?? '';
  const known = context.settings.certificates;
  const form = /^arn:aws[\w-]*:(acm:[\w-]+:\d{12}:certificate|iam::\d{12}:server-certificate)\/\S+$/;
  if (known === 'any' ? !form.test(arn) : !known.includes(arn)) {
    throw new CloudError('CertificateNotFound', `Certificate '${arn}' not found`);
  }
  return arn;
}

export function addListenerCertificates(
  context: Context,
  input: AddListenerCertificatesInput,
): AddListenerCertificatesOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  if (record.protocol !== 'TLS') throw validation('Certificates can only be added to TLS listeners');
  const wanted = (input.Certificates ?? []).map((certificate) => readCertificate(context, certificate));
  if (wanted.length === 0) throw validation('At least one certificate must be specified');
  const extraCertificates = [...record.extraCertificates];
  for (const arn of wanted) {
    if (arn !== record.certificate && !extraCertificates.includes(arn)) extraCertificates.push(arn);
  }
  const most = context.settings.quotas.certificatesPerLoadBalancer;
  let total = extraCertificates.length;
  for (const other of listenersOf(context, record.loadBalancerArn)) {
    if (other.arn !== record.arn) total += other.extraCertificates.length;
  }
  if (total > most) {
    throw new CloudError('TooManyCertificates', `A load balancer can have at most ${most} certificates`);
  }
  context.store.put({ ...record, extraCertificates }, context.now);
  return { Certificates: wanted.map((CertificateArn) => ({ CertificateArn, IsDefault: false })) };
}

export function removeListenerCertificates(
  context: Context,
  input: RemoveListenerCertificatesInput,
): RemoveListenerCertificatesOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  const [certificate, ...more] = input.Certificates ?? [];
  if (certificate === undefined || more.length > 0)
    throw validation('Exactly one certificate must be specified');
  const arn = certificate.CertificateArn ?? '';
  if (arn === record.certificate) {
    throw new CloudError('OperationNotPermitted', `The default certificate '${arn}' cannot be removed`);
  }
  if (record.extraCertificates.includes(arn)) {
    const extraCertificates = record.extraCertificates.filter((other) => other !== arn);
    context.store.put({ ...record, extraCertificates }, context.now);
  }
  return {};
}

/** The default certificate comes first. */
export function describeListenerCertificates(
  context: Context,
  input: DescribeListenerCertificatesInput,
): DescribeListenerCertificatesOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  const all: Certificate[] = record.extraCertificates.map((arn) => ({
    CertificateArn: arn,
    IsDefault: false,
  }));
  if (record.certificate !== undefined) all.unshift({ CertificateArn: record.certificate, IsDefault: true });
  const { items, ...rest } = pageOfList(context, all, input);
  return { Certificates: [...items], ...rest };
}
