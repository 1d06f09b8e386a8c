/**
 * Connections through a simulated balancer: its front on loopback, stand-ins for the node ports behind it, and what a
 * story tells of them.
 */
import { spawn } from 'node:child_process';
import type { ControlClient as AlibabaControl } from '../../../providers/alibaba/simulator/control-client.ts';
import type { ControlClient as AwsControl } from '../../../providers/aws/simulator/control-client.ts';
import { systemClock } from '../../core/clock.ts';
import type { Api } from '../../kube/api.ts';
import { run } from '../bed/run.ts';
import { Front, type FrontListener } from '../front.ts';
import { read, type Manifest } from '../objects.ts';
import { StandIns } from '../stand-ins.ts';
import { statusOf, until, type Narrator } from './stage.ts';
import { answeredInARow, curlOf, everyMs, startRequests, type Requests } from './web.ts';

export interface ConnectionsOptions {
  readonly api: Api;
  readonly narrator: Narrator;
  readonly hasCurl: boolean;
  readonly signal: AbortSignal;
  readonly listeners: () => Promise<readonly FrontListener[]>;
}

/** The simulated account, its front and the story share one process, which can be busy for a moment. */
const limitMs = 5_000;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #standIns = new StandIns();
  readonly #front: Front;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#front = new Front({
      read: options.listeners,
      reach: (instance) => this.#standIns.address(Number(/\d+$/u.exec(instance)?.[0] ?? 0)),
      clock: systemClock,
    });
    this.#front.start();
  }

  /** Lets pods answer at the first node port of a Service on nodes 1 to `nodes`, and tells who answers by the balancer. */
  async show(service: Manifest, nodes: number): Promise<string> {
    const { narrator, hasCurl, signal } = this.#options;
    const { address, port, nodePort } = await this.#portOf(service);
    for (let node = 1; node <= nodes + 1; node += 1) await this.#standIns.open(node, nodePort);
    const { value: where } = await until(
      `the front of ${address} to answer`,
      () => Promise.resolve(this.#front.where(address, port)),
      { signal },
    );
    narrator.line(
      `The simulated balancer of ${service.metadata?.name ?? ''} carries real connections: port ${port} is ${where} here.`,
    );
    const url = `http://${where}/`;
    const [program, args] = curlOf(url, hasCurl);
    const heard = new Set<string>();
    await until(
      `all ${nodes} nodes to answer`,
      async () => {
        const { stdout } = await run(program, args);
        const said = stdout.trim();
        if (said !== '' && !heard.has(said)) narrator.line(`$ curl ${url}    ${said}`);
        if (said !== '') heard.add(said);
        return heard.size >= nodes || undefined;
      },
      { signal, seen: () => Promise.resolve([...heard].join('; ') || 'no answer') },
    );
    return url;
  }

  /** Asks all the time while `during` goes on; throws where a request was lost or a node did not do its part. */
  async throughout(
    url: string,
    expected: { readonly joined?: string; readonly left?: string },
    during: () => Promise<void>,
  ): Promise<void> {
    const { narrator, signal } = this.#options;
    const requests: Requests = startRequests(url, (program, args) => spawn(program, args), limitMs);
    try {
      await answeredInARow(requests, 20, signal);
      await during();
      const { joined, left } = expected;
      const by = (name: string, since: number): number =>
        requests.attempts.slice(since).filter(({ self }) => self.includes(`${name}:`)).length;
      const asked = requests.attempts.length;
      await answeredInARow(requests, 20, signal, asked);
      if (joined !== undefined && by(joined, 0) === 0) throw new Error(`no request came to ${joined}`);
      // Those under way when it left have ended by now.
      if (left !== undefined && by(left, asked + 5) > 0) throw new Error(`requests still come to ${left}`);
    } finally {
      await requests.close();
    }
    const lost = requests.attempts.filter(({ kind }) => kind !== 'answered').length;
    narrator.good(
      `${requests.attempts.length} requests went through the balancer meanwhile, one every ${everyMs} ms: ${lost} were lost.`,
    );
    if (lost > 0) throw new Error(`${lost} requests through the balancer were lost`);
  }

  async close(): Promise<void> {
    await this.#front.close();
    await this.#standIns.closeAll();
  }

  async #portOf(
    service: Manifest,
  ): Promise<{ readonly address: string; readonly port: number; readonly nodePort: number }> {
    const live = await read(this.#options.api, service);
    const spec = live?.['spec'] as
      | { readonly ports?: readonly { readonly port: number; readonly nodePort?: number }[] }
      | undefined;
    const [first] = spec?.ports ?? [];
    if (first?.nodePort === undefined) throw new Error('the Service has no node port');
    return { address: statusOf(live).address, port: first.port, nodePort: first.nodePort };
  }
}

/** The TCP listeners of a simulated AWS account, with the targets that take connections. */
export async function awsListeners(cloud: Pick<AwsControl, 'dump'>): Promise<readonly FrontListener[]> {
  const { loadBalancers, targetGroups } = await cloud.dump();
  const groups = new Map(targetGroups.map((group) => [group['TargetGroupArn'], group]));
  return loadBalancers.flatMap((balancer) =>
    balancer.Listeners.filter((one) => one['Protocol'] === 'TCP' || one['Protocol'] === 'TCP_UDP').map(
      (listener): FrontListener => {
        const [action] = (listener['DefaultActions'] ?? []) as readonly {
          readonly TargetGroupArn?: string;
        }[];
        const all = (groups.get(action?.TargetGroupArn)?.['Targets'] ?? []) as readonly AwsTarget[];
        const healthy = all.filter(({ State }) => State === 'healthy');
        // As the real one: where nobody is healthy, everybody is asked.
        const chosen = healthy.length > 0 ? healthy : all.filter(({ State }) => State !== 'draining');
        return {
          balancer: String(balancer['DNSName']),
          port: Number(listener['Port']),
          targets: chosen.map(({ Id, Port }) => ({ instance: Id, port: Port })),
        };
      },
    ),
  );
}

interface AwsTarget {
  readonly Id: string;
  readonly Port: number;
  readonly State: string;
}

/** The TCP listeners of a simulated Alibaba Cloud account, with the members that have a weight. */
export async function alibabaListeners(
  cloud: Pick<AlibabaControl, 'dump'>,
): Promise<readonly FrontListener[]> {
  const { loadBalancers } = await cloud.dump();
  return loadBalancers.flatMap(({ Address, Listeners, VServerGroups }) =>
    Listeners.filter(({ ListenerProtocol }) => ListenerProtocol === 'tcp').map((listener): FrontListener => {
      const group = VServerGroups.find(({ VServerGroupId }) => VServerGroupId === listener.VServerGroupId);
      const members = (group?.BackendServers ?? []).filter(({ Weight = 100 }) => Weight > 0);
      return {
        balancer: Address ?? '',
        port: listener.ListenerPort,
        targets: members.map(({ ServerId, Port }) => ({ instance: ServerId, port: Port })),
      };
    }),
  );
}
