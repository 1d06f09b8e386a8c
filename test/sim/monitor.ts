/**
 * Watches every call of a run and says at once when one breaks an invariant (field notes, faults I1 to I7).
 *
 * - I2: nothing without our mark is changed; a held Service is left alone.
 * - I4: at most ten writes a minute and Service while nothing happens.
 * - I5: the finalizer is stored before the first cloud write for a Service and goes after the last.
 * - I6: an address is shown only while it is an active balancer of that very Service.
 * - I7: nothing healthy that is still wanted is taken out of traffic.
 * - L: only the holder of the lease writes to the cloud.
 *
 * What the controller could not know yet is forgiven: a fact counts once it has been true for longer than
 * the picture may lag (`lagMs`). I1, I3 and the rest of I4 are judged at the end (judge.ts).
 */
import type { Account } from '../../providers/aws/simulator/account.ts';
import type { RecordedCall } from '../../providers/aws/simulator/record.ts';
import type { RawService } from '../../src/kube/raw.ts';
import type { VirtualClock } from '../support/virtual-clock.ts';
import type { ApiCall } from './api-client.ts';
import type { ApiServer } from './api-server.ts';
import { finalizer, truthOf, type ServiceTruth } from './truth.ts';

export const clusterId = '11111111-2222-4333-8444-555555555555';
export const clusterTag = 'sluice.dev/cluster';
export const uidTag = 'sluice.dev/uid';

export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'L' | 'crash';

export interface Violation {
  readonly invariant: Invariant;
  readonly at: number;
  readonly message: string;
}

export interface MonitorParts {
  readonly clock: VirtualClock;
  readonly server: ApiServer;
  readonly account: Account;
  /** How old the controller's picture may be at this moment, in milliseconds. */
  readonly lagMs: () => number;
  /** How long ago the live look may be that goes before a removal, in milliseconds. */
  readonly liveLagMs: () => number;
  /** Reads have lied (empty, short or stale answers) so recently that the controller may have believed it. */
  readonly liedTo: () => boolean;
  readonly trace: (line: string) => void;
}

const minute = 60_000;
const writesAMinute = 10;

export class Monitor {
  readonly violations: Violation[] = [];
  readonly #parts: MonitorParts;
  /** UIDs whose finalizer was stored at some time. */
  readonly #finalized = new Set<string>();
  /** Fact → since when it has been true without a break. */
  #since = new Map<string, number>();
  #truths: ReadonlyMap<string, ServiceTruth> = new Map();
  /** Host name → the UID of its balancer, and when it went. */
  readonly #balancers = new Map<string, { uid: string; goneAt: number | undefined }>();
  /** Service → times of writes that concern it and had no effect, or are to its object. */
  readonly #writes = new Map<string, number[]>();
  /** Service → every host name that it has shown. */
  readonly #shown = new Map<string, Set<string>>();
  /** Balancers that were protected by hand. */
  readonly #protected = new Set<string>();
  /** Processes and the Services that they have left to others. */
  readonly #greetings = new Set<string>();
  /** Instance → since when its targets fail their checks. */
  readonly #illSince = new Map<string, number>();
  #lastEventAt = 0;
  #seq = 0;
  #apiWrites = 0;
  #cloudWrites = 0;

  constructor(parts: MonitorParts) {
    this.#parts = parts;
    const { account, server } = parts;
    account.faults.order({
      id: 'monitor',
      match: { mutating: true },
      times: 'until-cleared',
      effect: {
        kind: 'hook',
        before: ({ operation, input, by }) => this.#beforeWrite(operation, input, by),
        after: () => this.#afterWrite(),
      },
    });
    for (const kind of ['services', 'nodes', 'endpointslices'] as const)
      server.listen(kind, () => this.#refresh());
  }

  /** Writes so far: patches and events of the controller's, and mutating cloud calls. */
  get writes(): number {
    return this.#apiWrites + this.#cloudWrites;
  }

  get truths(): ReadonlyMap<string, ServiceTruth> {
    return this.#truths;
  }

  /** Something happens from outside: writes are to be expected. */
  eventHappened(): void {
    this.#lastEventAt = this.#parts.clock.now();
  }

  /** The targets on this instance pass their checks from now on, or fail them. */
  healthChanged(instance: string, healthy: boolean): void {
    if (healthy) this.#illSince.delete(instance);
    else if (!this.#illSince.has(instance)) this.#illSince.set(instance, this.#parts.clock.now());
  }

  report(invariant: Invariant, message: string): void {
    this.#parts.trace(`!! ${invariant} broken: ${message}`);
    if (this.violations.length < 20)
      this.violations.push({ invariant, at: this.#parts.clock.now(), message });
  }

  /** A request of a process to the API server, just after its effect. */
  apiCall(call: ApiCall): void {
    if (!call.write || call.resource.startsWith('leases')) return;
    if (!this.#isGreeting(call)) this.#apiWrites += 1;
    this.#checkNews(call);
    if (call.service !== undefined) this.#countWrite(call.service, `${call.method} ${call.path}`);
    if (call.method !== 'PATCH' || !call.resource.startsWith('services') || call.code !== 200) return;
    const entry = this.#parts.server.journal('services').at(-1);
    if (entry === undefined) return;
    const before: RawService | undefined = entry.before;
    const after: RawService = entry.object;
    if ((after.metadata?.namespace ?? '') + '/' + (after.metadata?.name ?? '') !== call.service) return;
    const had = before?.metadata?.finalizers?.includes(finalizer) ?? false;
    const has = after.metadata?.finalizers?.includes(finalizer) ?? false;
    if (had && !has) this.#checkReleased(after.metadata?.uid ?? '', call.service);
    if (call.path.endsWith('/status')) this.#checkAddresses(after, before);
  }

  /** What an event says is so. */
  #checkNews(call: ApiCall): void {
    const { reason } = (call.body ?? {}) as { reason?: string };
    if (reason !== 'LoadBalancerRecreated' || call.service === undefined) return;
    const shown = this.#shown.get(call.service);
    if (shown !== undefined && shown.size < 2)
      this.report('I6', `${call.service} is told of a new address, and it has had ${shown.size}`);
  }

  /**
   * That a Service is left to somebody else: nothing can be noted on an object that is not ours, so that each
   * process says it once, as a part of its start.
   */
  #isGreeting({ by, method, resource, service, body }: ApiCall): boolean {
    const { action } = (body ?? {}) as { action?: string };
    if (method !== 'POST' || !resource.startsWith('events') || action !== 'Claim') return false;
    const greeting = `${by} ${service}`;
    if (this.#greetings.has(greeting)) return false;
    this.#greetings.add(greeting);
    return true;
  }

  /** Our resources by UID: what bears the cluster's mark. */
  marked(): readonly { readonly kind: string; readonly name: string; readonly uid: string }[] {
    return this.#parts.account
      .resources()
      .filter(({ tags }) => tags[clusterTag] === clusterId)
      .map(({ kind, name, tags }) => ({ kind, name, uid: tags[uidTag] ?? '' }));
  }

  #checkReleased(uid: string, service: string): void {
    if (this.#parts.liedTo()) return;
    const left = this.marked().filter((one) => one.uid === uid);
    if (left.length === 0) return;
    const names = left.map(({ kind, name }) => `${kind} ${name}`).join(', ');
    this.report('I5', `the finalizer of ${service} (${uid}) was removed while ${names} exist`);
  }

  #checkAddresses(after: RawService, before: RawService | undefined): void {
    const uid = after.metadata?.uid ?? '';
    const old = new Set((before?.status?.loadBalancer?.ingress ?? []).map(({ hostname }) => hostname));
    for (const { hostname } of after.status?.loadBalancer?.ingress ?? []) {
      if (hostname === undefined || old.has(hostname)) continue;
      const key = `${after.metadata?.namespace}/${after.metadata?.name}`;
      this.#shown.set(key, (this.#shown.get(key) ?? new Set()).add(hostname));
      const balancer = this.#balancers.get(hostname);
      const { clock } = this.#parts;
      if (balancer === undefined || balancer.uid !== uid) {
        this.report('I6', `${after.metadata?.name} shows ${hostname}, which is no balancer of its own`);
      } else if (balancer.goneAt !== undefined && clock.now() - balancer.goneAt > this.#parts.lagMs()) {
        this.report(
          'I6',
          `${after.metadata?.name} shows ${hostname}, which went ${clock.now() - balancer.goneAt} ms ago`,
        );
      } else if (balancer.goneAt === undefined && !this.#isActive(hostname)) {
        this.report('I6', `${after.metadata?.name} shows ${hostname}, which is not active yet`);
      }
    }
  }

  #isActive(hostname: string): boolean {
    const answer = this.#read('DescribeLoadBalancers', { PageSize: 400 }) as {
      LoadBalancers?: readonly { DNSName?: string; State?: { Code?: string } }[];
    };
    const found = answer.LoadBalancers?.find(({ DNSName }) => DNSName?.toLowerCase() === hostname);
    // A fault may hide it, from us as well.
    const code = found?.State?.Code ?? 'active';
    return code === 'active' || code === 'active_impaired';
  }

  #beforeWrite(operation: string, input: Input, by: string): void {
    const protection = input.Attributes?.find(({ Key }) => Key === 'deletion_protection.enabled')?.Value;
    if (by === 'hand') {
      if (protection === 'true') this.#protected.add(input.LoadBalancerArn ?? '');
      else if (protection !== undefined) this.#protected.delete(input.LoadBalancerArn ?? '');
      return;
    }
    if (protection === 'false' && this.#protected.has(input.LoadBalancerArn ?? ''))
      this.report('I2', `${operation} lifts a protection that somebody else set`);
    if (operation === 'DeregisterTargets') this.#checkDeregistration(input);
    if (operation === 'DeleteListener') this.#checkListener(input.ListenerArn ?? '');
    if (operation === 'DeleteLoadBalancer') this.#checkBalancer(input.LoadBalancerArn ?? '');
    if (operation === 'CreateListener') {
      const tags = this.#tagsOf(input.LoadBalancerArn ?? '');
      if (tags !== undefined && tags[clusterTag] !== clusterId)
        this.report('I2', `${operation} on ${input.LoadBalancerArn}, which does not bear our mark`);
    }
  }

  #afterWrite(): void {
    const calls = this.#parts.account.calls(this.#seq);
    this.#seq = calls.at(-1)?.seq ?? this.#seq;
    for (const call of calls) if (call.mutating) this.#judge(call);
  }

  #judge(call: RecordedCall): void {
    for (const { kind, arn, change, tags } of call.touched) {
      if (kind === 'load-balancer') this.#noteBalancer(arn, change, tags[uidTag] ?? '', call.output ?? {});
    }
    if (call.by === 'hand') return;
    this.#cloudWrites += 1;
    const uids = new Set<string>();
    for (const { kind, arn, change, tags } of call.touched) {
      const uid = tags[uidTag];
      if (tags[clusterTag] !== clusterId || uid === undefined) {
        this.report('I2', `${call.operation} ${change} ${kind} ${arn}, which does not bear our mark`);
        continue;
      }
      uids.add(uid);
    }
    const named = (call.input as Input).Tags?.find(({ Key }) => Key === uidTag)?.Value;
    if (named !== undefined) uids.add(named);
    for (const uid of uids) {
      if (!this.#finalized.has(uid))
        this.report('I5', `${call.operation} for ${uid} before its finalizer was stored`);
      const truth = this.#truths.get(uid);
      if (truth?.ours && truth.held && call.touched.length > 0 && this.#old(`${uid}|held`))
        this.report('I2', `${call.operation} for ${truth.key}, which is to be left alone`);
      if (call.touched.length === 0) this.#countWrite(truth?.key ?? uid, call.operation);
    }
  }

  #noteBalancer(arn: string, change: 'created' | 'changed' | 'deleted', uid: string, output: object): void {
    const { clock } = this.#parts;
    if (change === 'created') {
      const made = (output as { LoadBalancers?: readonly { DNSName?: string }[] }).LoadBalancers?.[0];
      if (made?.DNSName !== undefined)
        this.#balancers.set(made.DNSName.toLowerCase(), { uid, goneAt: undefined });
    } else if (change === 'deleted') {
      const id = arn.split('/').at(-1) ?? '';
      for (const [host, balancer] of this.#balancers) if (host.includes(id)) balancer.goneAt ??= clock.now();
    }
  }

  /** Nothing healthy that is wanted goes; a healthy one that is not goes only beside a healthy successor. */
  #checkDeregistration(input: Input): void {
    const arn = input.TargetGroupArn ?? '';
    const truth = this.#truths.get(this.#tagsOf(arn)?.[uidTag] ?? '');
    if (truth === undefined || !truth.ours) return;
    const health = (
      this.#read('DescribeTargetHealth', { TargetGroupArn: arn }) as {
        TargetHealthDescriptions?: readonly { Target?: Target; TargetHealth?: { State?: string } }[];
      }
    ).TargetHealthDescriptions;
    const healthy = (health ?? [])
      .filter(({ TargetHealth }) => TargetHealth?.State === 'healthy')
      .map(({ Target }) => `${Target?.Id}|${Target?.Port}`);
    const removed = new Set((input.Targets ?? []).map(({ Id, Port }) => `${Id}|${Port}`));
    for (const target of removed) {
      if (healthy.includes(target) && this.#old(`${truth.uid}|target|${target}`))
        this.report('I7', `${truth.key}: healthy target ${target} is deregistered although it is wanted`);
    }
    const gone = healthy.filter((target) => removed.has(target));
    const fresh = gone.filter((target) => {
      const unwanted = `${truth.uid}|unwanted|${target}`;
      return this.#since.has(unwanted) && !this.#old(unwanted, 55_000);
    });
    if (gone.length >= 2 && gone.length > healthy.length / 2 && fresh.length > 0)
      this.report(
        'I7',
        `${truth.key}: ${gone.length} of ${healthy.length} healthy targets go at once, on the word of less than a minute`,
      );
    const left = (health ?? [])
      .map(({ Target }) => `${Target?.Id}|${Target?.Port}`)
      .filter((target) => !removed.has(target) && (healthy.includes(target) || this.#fellIllNow(target)));
    const known = [...removed].filter((target) => healthy.includes(target) && this.#mayServe(truth, target));
    if (left.length === 0 && known.length > 0 && truth.targets.size > 0)
      this.report(
        'I7',
        `${truth.key}: the last healthy targets (${known.join(', ')}) go before a successor is healthy`,
      );
  }

  /** It was healthy when the controller looked, as far as it could see. */
  #fellIllNow(target: string): boolean {
    const { clock, liedTo, lagMs, liveLagMs } = this.#parts;
    const since = this.#illSince.get(target.split('|')[0] ?? '');
    return since !== undefined && clock.now() - since < (liedTo() ? lagMs() : liveLagMs());
  }

  /** Its node is there and may be a target, and it has not been unwanted for as long as patience lasts. */
  #mayServe(truth: ServiceTruth, target: string): boolean {
    const instance = target.split('|')[0] ?? '';
    const unwanted = this.#since.get(`${truth.uid}|unwanted|${target}`);
    if (unwanted !== undefined && this.#parts.clock.now() - unwanted > 280_000) return false;
    return unwanted !== undefined && this.#since.has(`instance|${instance}`);
  }

  #checkListener(arn: string): void {
    const found = this.#parts.account.resources().find((one) => one.arn === arn);
    const truth = this.#truths.get(found?.tags[uidTag] ?? '');
    if (truth === undefined) return;
    const answer = this.#read('DescribeListeners', { ListenerArns: [arn] }) as {
      Listeners?: readonly { Port?: number; Protocol?: string }[];
    };
    const { Port, Protocol } = answer.Listeners?.[0] ?? {};
    if (this.#old(`${truth.uid}|listener|${Port}|${Protocol}`))
      this.report('I7', `${truth.key}: listener ${Port}/${Protocol} is deleted although it is wanted`);
  }

  #checkBalancer(arn: string): void {
    const uid = this.#tagsOf(arn)?.[uidTag] ?? '';
    if (this.#old(`${uid}|ours`, this.#parts.liveLagMs()))
      this.report('I7', `${this.#truths.get(uid)?.key}: its balancer is deleted although it is wanted`);
  }

  /** A look of our own; empty where a fault hides what it is about. */
  #read(operation: string, input: object): object {
    try {
      return this.#parts.account.byHand(operation, input);
    } catch (error) {
      if (error instanceof Error && error.name === 'CloudError') return {};
      throw error;
    }
  }

  #tagsOf(arn: string): Readonly<Record<string, string>> | undefined {
    return this.#parts.account.resources().find((one) => one.arn === arn)?.tags;
  }

  /** The fact is true, and has been for so long that the controller must know. */
  #old(fact: string, lagMs: number = this.#parts.lagMs()): boolean {
    const since = this.#since.get(fact);
    return since !== undefined && this.#parts.clock.now() - since > lagMs;
  }

  #refresh(): void {
    const { clock, server } = this.#parts;
    const before = this.#truths;
    this.#truths = truthOf(server);
    const facts = new Map<string, number>();
    const note = (fact: string): void => {
      facts.set(fact, this.#since.get(fact) ?? clock.now());
    };
    for (const node of server.all('nodes')) {
      const instance = /(i-[0-9a-f]+)$/.exec(node.spec?.providerID ?? '')?.[1];
      if (instance !== undefined) note(`instance|${instance}`);
    }
    for (const truth of this.#truths.values()) {
      const { uid } = truth;
      if (truth.finalized) this.#finalized.add(uid);
      if (!truth.ours) continue;
      note(`${uid}|ours`);
      if (truth.held) note(`${uid}|held`);
      for (const { port, protocol, nodePort } of truth.listeners) {
        note(`${uid}|listener|${port}|${protocol}`);
        for (const instance of truth.targets) note(`${uid}|target|${instance}|${nodePort}`);
      }
    }
    // What was wanted once and is no more, as long as its Service is there.
    for (const fact of this.#since.keys()) {
      const [uid = '', kind, ...rest] = fact.split('|');
      if (!this.#truths.get(uid)?.ours) continue;
      const target = rest.join('|');
      if (kind === 'target' && !facts.has(fact)) note(`${uid}|unwanted|${target}`);
      else if (kind === 'unwanted' && !facts.has(`${uid}|target|${target}`)) note(fact);
    }
    this.#since = facts;
    // A Service that was finalized when it went must be remembered as such.
    for (const truth of before.values()) if (truth.finalized) this.#finalized.add(truth.uid);
  }

  #countWrite(service: string, what: string): void {
    const now = this.#parts.clock.now();
    const times = this.#writes.get(service) ?? [];
    this.#writes.set(service, times);
    times.push(now);
    while ((times[0] ?? now) <= now - minute) times.shift();
    if (now - this.#lastEventAt <= minute || times.length <= writesAMinute) return;
    this.report(
      'I4',
      `${times.length} writes for ${service} within a minute in which nothing happened, the last ${what}`,
    );
    times.length = 0;
  }
}

interface Target {
  readonly Id?: string;
  readonly Port?: number;
}

interface Input {
  readonly Attributes?: readonly { readonly Key?: string; readonly Value?: string }[];
  readonly TargetGroupArn?: string;
  readonly LoadBalancerArn?: string;
  readonly ListenerArn?: string;
  readonly Targets?: readonly Target[];
  readonly Tags?: readonly { readonly Key?: string; readonly Value?: string }[];
}
