/** Certificates of an https listener for single domains. */
import type { Calls } from '../client-types.ts';
import { configure, findListener, newId, requireIdle } from './context.ts';
import type { Context } from './context.ts';
import { CloudError } from './errors.ts';
import type { DomainExtensionRecord } from './store.ts';
import { requireCertificate } from './vswitches.ts';

type In<O extends keyof Calls> = Calls[O][0];
type Out<O extends keyof Calls> = Calls[O][1];

const busy = 'DomainExtensionProcessing';

export function createDomainExtension(
  context: Context,
  input: In<'CreateDomainExtension'>,
): Out<'CreateDomainExtension'> {
  const { store, now, settings } = context;
  const listener = findListener(context, input.LoadBalancerId, input.ListenerPort, 'https');
  requireIdle(context, listener.loadBalancerId, busy);
  requireCertificate(context, input.ServerCertificateId);
  const others = extensionsOf(context, listener.loadBalancerId, listener.port);
  if (others.some(({ domain }) => domain === input.Domain)) {
    throw new CloudError('DomainExtensionAlreadyExists', `There is one for ${input.Domain}`);
  }
  if (others.length >= settings.quotas.domainExtensionsPerListener) {
    throw new CloudError('DomainExtensionNumberOverLimit', 'The quota of domain extensions is used up');
  }
  const record: DomainExtensionRecord = {
    kind: 'domain-extension',
    id: newId(context, 'de'),
    seq: store.nextSeq(),
    createdAt: now,
    tags: {},
    loadBalancerId: listener.loadBalancerId,
    port: listener.port,
    domain: input.Domain,
    certificateId: input.ServerCertificateId,
  };
  store.put(record, now);
  configure(context, listener.loadBalancerId);
  return { ListenerPort: listener.port, DomainExtensionId: record.id };
}

export function extensionsOf(
  context: Context,
  loadBalancerId: string,
  port: number,
): readonly DomainExtensionRecord[] {
  return context.store
    .all('domain-extension')
    .filter((record) => record.loadBalancerId === loadBalancerId && record.port === port);
}

export function describeDomainExtensions(
  context: Context,
  input: In<'DescribeDomainExtensions'>,
): Out<'DescribeDomainExtensions'> {
  findListener(context, input.LoadBalancerId, input.ListenerPort, 'https');
  return {
    DomainExtensions: {
      DomainExtension: extensionsOf(context, input.LoadBalancerId, input.ListenerPort)
        .filter(({ id }) => (input.DomainExtensionId ?? id) === id)
        .map(({ id, domain, certificateId }) => ({
          DomainExtensionId: id,
          Domain: domain,
          ServerCertificateId: certificateId,
        })),
    },
  };
}

export function setDomainExtension(context: Context, input: In<'SetDomainExtensionAttribute'>): object {
  const record = find(context, input.DomainExtensionId);
  requireCertificate(context, input.ServerCertificateId);
  context.store.put({ ...record, certificateId: input.ServerCertificateId }, context.now);
  configure(context, record.loadBalancerId);
  return {};
}

export function deleteDomainExtension(context: Context, input: In<'DeleteDomainExtension'>): object {
  const record = find(context, input.DomainExtensionId);
  context.store.remove(record, context.now);
  configure(context, record.loadBalancerId);
  return {};
}

function find(context: Context, id: string): DomainExtensionRecord {
  const found = context.store.get('domain-extension', id);
  if (found === undefined)
    throw new CloudError('DomainExtensionNotExist', `The domain extension ${id} does not exist`);
  requireIdle(context, found.loadBalancerId, busy);
  return found;
}
