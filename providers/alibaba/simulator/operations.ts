/** The operations that are simulated. */
import type { Context } from './context.ts';
import {
  createDomainExtension,
  deleteDomainExtension,
  describeDomainExtensions,
  setDomainExtension,
} from './domain-extensions.ts';
import {
  addMembers,
  createGroup,
  deleteGroup,
  describeGroup,
  describeGroups,
  modifyMembers,
  removeMembers,
  setGroup,
} from './groups.ts';
import { describeHealthStatus } from './health.ts';
import {
  createListener,
  deleteListener,
  describeListeners,
  setListener,
  startListener,
  stopListener,
} from './listeners.ts';
import {
  modifyInstanceChargeType,
  modifyInstanceSpec,
  modifyInternetSpec,
  setDeleteProtection,
  setModificationProtection,
  setName,
} from './load-balancer-changes.ts';
import {
  createLoadBalancer,
  deleteLoadBalancer,
  describeLoadBalancerAttribute,
  describeLoadBalancers,
} from './load-balancers.ts';
import { listTagResources, tagResources, untagResources } from './tags.ts';
import { describeServerCertificates, describeVSwitches } from './vswitches.ts';

export interface Operation {
  readonly mutating: boolean;
  readonly run: (context: Context, input: object) => object;
}

/**
 * What an operation's function takes is its own input type; the check of parameters has established that shape
 * before it is called, which is what makes this cast sound.
 */
type Run = (context: Context, input: never) => object;

const read = (run: Run): Operation => ({ mutating: false, run: run as Operation['run'] });
const write = (run: Run): Operation => ({ mutating: true, run: run as Operation['run'] });

export const simulatedOperations: ReadonlyMap<string, Operation> = new Map(
  Object.entries({
    CreateLoadBalancer: write(createLoadBalancer),
    DescribeLoadBalancers: read(describeLoadBalancers),
    DescribeLoadBalancerAttribute: read(describeLoadBalancerAttribute),
    DeleteLoadBalancer: write(deleteLoadBalancer),
    SetLoadBalancerDeleteProtection: write(setDeleteProtection),
    SetLoadBalancerModificationProtection: write(setModificationProtection),
    SetLoadBalancerName: write(setName),
    ModifyLoadBalancerInternetSpec: write(modifyInternetSpec),
    ModifyLoadBalancerInstanceSpec: write(modifyInstanceSpec),
    ModifyLoadBalancerInstanceChargeType: write(modifyInstanceChargeType),
    TagResources: write(tagResources),
    UntagResources: write(untagResources),
    ListTagResources: read(listTagResources),
    DescribeServerCertificates: read(describeServerCertificates),
    DescribeVSwitches: read(describeVSwitches),
    DescribeLoadBalancerListeners: read(describeListeners),
    CreateLoadBalancerTCPListener: write(createListener('tcp')),
    CreateLoadBalancerUDPListener: write(createListener('udp')),
    CreateLoadBalancerHTTPListener: write(createListener('http')),
    CreateLoadBalancerHTTPSListener: write(createListener('https')),
    SetLoadBalancerTCPListenerAttribute: write(setListener('tcp')),
    SetLoadBalancerUDPListenerAttribute: write(setListener('udp')),
    SetLoadBalancerHTTPListenerAttribute: write(setListener('http')),
    SetLoadBalancerHTTPSListenerAttribute: write(setListener('https')),
    StartLoadBalancerListener: write(startListener),
    StopLoadBalancerListener: write(stopListener),
    DeleteLoadBalancerListener: write(deleteListener),
    DescribeHealthStatus: read(describeHealthStatus),
    CreateVServerGroup: write(createGroup),
    DescribeVServerGroups: read(describeGroups),
    DescribeVServerGroupAttribute: read(describeGroup),
    AddVServerGroupBackendServers: write(addMembers),
    RemoveVServerGroupBackendServers: write(removeMembers),
    SetVServerGroupAttribute: write(setGroup),
    ModifyVServerGroupBackendServers: write(modifyMembers),
    DeleteVServerGroup: write(deleteGroup),
    CreateDomainExtension: write(createDomainExtension),
    DescribeDomainExtensions: read(describeDomainExtensions),
    SetDomainExtensionAttribute: write(setDomainExtension),
    DeleteDomainExtension: write(deleteDomainExtension),
  }),
);
