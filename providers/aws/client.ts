/**
 * The door to AWS over the wire: the only file that loads the SDK, so that it can be a chunk of its own.
 *
 * Retries are off here: `door.ts` does them once for every kind of client, where they can be counted and
 * slowed by the account's own answers. Connections are kept and are as many as calls may be under way.
 */
import { Agent } from 'node:https';
import {
  AddListenerCertificatesCommand,
  AddTagsCommand,
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeListenerCertificatesCommand,
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RegisterTargetsCommand,
  RemoveListenerCertificatesCommand,
  RemoveTagsCommand,
  SetSecurityGroupsCommand,
  SetSubnetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { ElasticLoadBalancingV2ClientConfig } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { SluiceError } from '../../src/core/errors.ts';
import { asSluiceError } from '../../src/core/errors.ts';
import type { ElbClient, ElbInput, ElbOperation } from './operations.ts';
import { proxyFrom } from './proxy.ts';
import type { ProxyEnvironment } from './proxy.ts';

/** What `send` takes: any one command; the SDK's types cannot say that a table of them is such. */
type Command = Parameters<ElasticLoadBalancingV2Client['send']>[0];

const commands: {
  readonly [Operation in ElbOperation]: new (input: ElbInput<Operation>) => object;
} = {
  DescribeLoadBalancers: DescribeLoadBalancersCommand,
  DescribeLoadBalancerAttributes: DescribeLoadBalancerAttributesCommand,
  DescribeTargetGroups: DescribeTargetGroupsCommand,
  DescribeTargetGroupAttributes: DescribeTargetGroupAttributesCommand,
  DescribeTargetHealth: DescribeTargetHealthCommand,
  DescribeListeners: DescribeListenersCommand,
  DescribeListenerCertificates: DescribeListenerCertificatesCommand,
  DescribeTags: DescribeTagsCommand,
  CreateLoadBalancer: CreateLoadBalancerCommand,
  DeleteLoadBalancer: DeleteLoadBalancerCommand,
  SetSubnets: SetSubnetsCommand,
  SetSecurityGroups: SetSecurityGroupsCommand,
  ModifyLoadBalancerAttributes: ModifyLoadBalancerAttributesCommand,
  CreateTargetGroup: CreateTargetGroupCommand,
  ModifyTargetGroup: ModifyTargetGroupCommand,
  ModifyTargetGroupAttributes: ModifyTargetGroupAttributesCommand,
  DeleteTargetGroup: DeleteTargetGroupCommand,
  CreateListener: CreateListenerCommand,
  ModifyListener: ModifyListenerCommand,
  DeleteListener: DeleteListenerCommand,
  AddListenerCertificates: AddListenerCertificatesCommand,
  RemoveListenerCertificates: RemoveListenerCertificatesCommand,
  RegisterTargets: RegisterTargetsCommand,
  DeregisterTargets: DeregisterTargetsCommand,
  AddTags: AddTagsCommand,
  RemoveTags: RemoveTagsCommand,
};

export interface SdkClientOptions {
  readonly region: string;
  /** A URL instead of the region's own end point: a simulated account, a VPC end point. */
  readonly endpoint?: string | undefined;
  /** Absent: the SDK's usual chain (environment, files, web identity, instance). */
  readonly credentials?: ElasticLoadBalancingV2ClientConfig['credentials'] | undefined;
  /** Milliseconds after which a call without an answer is given up. Default 20 s. */
  readonly answerMs?: number | undefined;
  /** Where a proxy may be named (`HTTPS_PROXY`, `NO_PROXY`); by default that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const connectMs = 3_000;
const answerMs = 20_000;
const sockets = 64;

/**
 * A client of the SDK behind the seam. Throws what the SDK throws; `close` lets the process end.
 *
 * A proxy concerns end points with https, and the SDK's own search for credentials at such; plain http is for
 * simulated accounts on this machine.
 */
export function createSdkClient(options: SdkClientOptions): ElbClient & { close(): void } {
  const { proxy, mistake } = readProxy(options.env ?? process.env);
  const sdk = new ElasticLoadBalancingV2Client({
    region: options.region,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: options.answerMs ?? answerMs,
      throwOnRequestTimeout: true,
      httpAgent: { keepAlive: true, maxSockets: sockets },
      httpsAgent: new Agent({
        keepAlive: true,
        maxSockets: sockets,
        ...(proxy === undefined ? {} : { proxyEnv: proxy }),
      }),
    },
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  });
  return {
    async call(operation, input, signal) {
      if (mistake !== undefined) throw mistake;
      const command = new commands[operation](input as never) as Command;
      return await sdk.send(command, signal === undefined ? {} : { abortSignal: signal });
    },
    close: () => sdk.destroy(),
  };
}

/** A mistake is told by the calls, so that what needs none, such as a plan from files, goes on without. */
function readProxy(env: Readonly<Record<string, string | undefined>>): {
  readonly proxy?: ProxyEnvironment | undefined;
  readonly mistake?: SluiceError;
} {
  try {
    return { proxy: proxyFrom(env) };
  } catch (error) {
    return { mistake: asSluiceError(error) };
  }
}
