/** The clouds that benches on a real API server measure: what differs between them, and nothing else. */
import type { ProviderName } from '../../../src/core/provider.ts';
import { alibabaNode, nodeManifest, type Manifest } from '../../../src/sandbox/objects.ts';
import type { Sandbox, SandboxOptions } from '../../../src/sandbox/sandbox.ts';

export interface BenchCloud {
  readonly provider: ProviderName;
  /** A sandbox with room for all Services, no limits in the way, and calls that take so long. */
  options(callMs: number): SandboxOptions;
  /** The same, with the limits of a real account on the cloud's side and on ours. */
  throttledOptions(): SandboxOptions;
  node(index: number): Manifest;
  /** Cloud calls of one Service that have to follow one another before it has an address. */
  readonly chain: number;
  /** Most calls for a Service with one port. */
  readonly mostCalls: number;
  /** Seconds within which 200 Services at 50 ms a call have addresses. */
  readonly goalSeconds: number;
  /** Operations that put targets in and take them out, and targets that one call takes. */
  readonly targets: { readonly add: string; readonly remove: string; readonly perCall: number };
  /** Read whose number is the number of full comparisons of one-port Services. */
  readonly look: string;
  /** Reads of one full comparison, at most. */
  readonly fullReads: number;
  /** Pace of surveys while full comparisons are counted (`0` for none), and how long until they have seen all. */
  readonly surveyFor: { readonly every: string; readonly warmUpMs: number };
  /** The call is a survey's, not a comparison's. */
  isSurvey(call: BenchCall): boolean;
  /** Writes that a bucket of the cloud's limits, and the bucket. */
  readonly limited: {
    readonly operations: readonly string[];
    readonly burst: number;
    readonly perSecond: number;
  };
}

const aws: BenchCloud = {
  provider: 'aws',
  options: (callMs) => ({
    aws: { quotas: { networkLoadBalancers: 10_000, targetGroups: 10_000 }, latency: { callMs } },
    awsSettings: { rates: { read: 100_000, register: 100_000, modify: 100_000 } },
  }),
  throttledOptions: () => ({
    aws: {
      quotas: { networkLoadBalancers: 10_000, targetGroups: 10_000 },
      throttling: { enabled: true },
    },
  }),
  node: (index) =>
    nodeManifest({
      name: `node-${index}`,
      instance: `i-${String(index).padStart(17, '0')}`,
      zone: 'eu-west-1a',
    }),
  // Balancer, group, targets or listener.
  chain: 3,
  mostCalls: 6,
  goalSeconds: 3,
  targets: { add: 'RegisterTargets', remove: 'DeregisterTargets', perCall: 200 },
  look: 'DescribeTargetHealth',
  fullReads: 7,
  surveyFor: { every: '0', warmUpMs: 0 },
  isSurvey: () => false,
  limited: {
    operations: ['CreateLoadBalancer', 'CreateTargetGroup', 'CreateListener', 'AddTags'],
    burst: 20,
    perSecond: 3,
  },
};

const quotas = { loadBalancers: 10_000, attachmentsPerServer: 10_000 };
/** The cloud publishes none: those that the provider keeps to by itself. */
const rates = { read: { burst: 60, perSecond: 20 }, write: { burst: 40, perSecond: 10 } };

const alibaba: BenchCloud = {
  provider: 'alibaba',
  options: (callMs) => ({
    alibaba: { quotas, latency: { callMs } },
    alibabaSettings: { rates: { read: 100_000, members: 100_000, modify: 100_000 } },
  }),
  throttledOptions: () => ({
    alibaba: { quotas, throttling: { enabled: true, ...rates } },
    alibabaSettings: { rates: { read: 20, members: 10, modify: 10 } },
  }),
  node: alibabaNode,
  // Balancer, group with its members, listener, its start: one after another, as the cloud takes them.
  chain: 4,
  // And the looks: by tag, by name, at the listener's state.
  mostCalls: 7,
  goalSeconds: 4,
  targets: {
    add: 'AddVServerGroupBackendServers',
    remove: 'RemoveVServerGroupBackendServers',
    perCall: 20,
  },
  look: 'DescribeHealthStatus',
  fullReads: 1.2,
  // What they saw is what a comparison stands on.
  surveyFor: { every: '20s', warmUpMs: 110_000 },
  isSurvey: ({ operation, input }) => {
    const { Tags, LoadBalancerId } = input as {
      Tags?: readonly { TagKey?: string }[];
      LoadBalancerId?: unknown;
    };
    return operation === 'DescribeLoadBalancers'
      ? Tags?.[0]?.TagKey === 'sluice.dev/cluster'
      : operation === 'DescribeLoadBalancerListeners' &&
          Array.isArray(LoadBalancerId) &&
          LoadBalancerId.length > 1;
  },
  limited: {
    operations: [
      'CreateLoadBalancer',
      'CreateVServerGroup',
      'CreateLoadBalancerTCPListener',
      'StartLoadBalancerListener',
      'AddVServerGroupBackendServers',
    ],
    burst: 40,
    perSecond: 10,
  },
};

const all: Readonly<Partial<Record<ProviderName, BenchCloud>>> = { aws, alibaba };

/** Throws for one that no bench knows. */
export function benchCloud(name: string): BenchCloud {
  const found = Object.values(all).find(({ provider }) => provider === name);
  if (found !== undefined) return found;
  throw new Error(`--provider: "${name}" is not measured; there are ${Object.keys(all).join(', ')}`);
}

/** The cloud that the sandbox's controller serves. */
export function cloudOf(sandbox: Sandbox): BenchCloud {
  return sandbox.alibaba === undefined ? aws : alibaba;
}

/** What all simulated accounts record of a call. */
export interface BenchCall {
  readonly seq: number;
  readonly at: number;
  readonly operation: string;
  readonly input: object;
  readonly mutating: boolean;
}

/** Calls after number `since`, oldest first. */
export async function callsOf(sandbox: Sandbox, since = 0): Promise<readonly BenchCall[]> {
  const control = sandbox.alibaba?.control ?? sandbox.aws.control;
  return (await control.calls(since)).calls;
}
