/** Decisions by the thousand, and a namespace of our own to write them into. */
import { spawn, spawnSync } from 'node:child_process';
import type { Decision, Endpoint, NodeDecision } from '../../src/agent/decision.ts';
import { decisionKey } from '../../src/agent/decision.ts';
import type { SpawnPiped } from '../../src/agent/nftables/process.ts';
import { objectKey } from '../../src/core/objects.ts';

export const plainNode: NodeDecision = {
  family: 'IPv4',
  nodePortAddresses: 'all',
  localhostNodePorts: false,
  localSource: { kind: 'cidrs', cidrs: ['10.244.0.0/24'] },
  masqueradeAll: false,
  markBit: 14,
  serviceRanges: [],
  dropInvalid: false,
};

export function endpoint(number: number, change: Partial<Endpoint> = {}): Endpoint {
  const address = `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
  return { address, port: 8080, local: false, weight: 1, ...change };
}

export function decision(number: number, change: Partial<Decision> = {}): Decision {
  const service = objectKey('default', `s${number}`);
  return {
    key: decisionKey(service, 'http', 'TCP', 'IPv4'),
    service,
    portName: 'http',
    protocol: 'TCP',
    family: 'IPv4',
    port: 80,
    clusterIP: `10.${96 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`,
    externalIPs: [],
    balancerIPs: [],
    nodePort: 0,
    cluster: [],
    local: [],
    internal: { kind: 'balance', to: 'cluster' },
    external: { kind: 'balance', to: 'cluster' },
    shortcut: undefined,
    affinitySeconds: undefined,
    sourceRanges: undefined,
    guardEverything: false,
    balancing: 'random',
    healthCheckNodePort: 0,
    ...change,
  };
}

/** `services` cluster IPs with `endpoints` each. */
export function manyDecisions(services: number, endpoints: number): Decision[] {
  return Array.from({ length: services }, (_, number) =>
    decision(number, {
      cluster: Array.from({ length: endpoints }, (__, at) => endpoint(number * endpoints + at)),
    }),
  );
}

export interface Namespace extends AsyncDisposable {
  readonly name: string;
  readonly start: SpawnPiped;
  /** Runs a program in it to its end. @throws Error where it fails. */
  run(program: string, args: readonly string[], input?: string): string;
}

let count = 0;

export function makeNamespace(): Namespace {
  count += 1;
  const name = `nft-${process.pid}-${count}`;
  const ip = (...args: string[]): void => {
    const done = spawnSync('ip', args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`ip ${args.join(' ')}: ${done.stderr}`);
  };
  ip('netns', 'add', name);
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return {
    name,
    start: (program, args) =>
      spawn('ip', ['netns', 'exec', name, program, ...args], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, HOME: '/dev/null', LC_ALL: 'C' },
      }),
    run: (program, args, input = '') => {
      const done = spawnSync('ip', ['netns', 'exec', name, program, ...args], {
        encoding: 'utf8',
        input,
        maxBuffer: 1 << 28,
      });
      if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stderr}`);
      return done.stdout;
    },
    [Symbol.asyncDispose]: () => {
      ip('netns', 'del', name);
      return Promise.resolve();
    },
  };
}

/** Our table as nft lists it. */
export function listing(ns: Namespace, ...options: string[]): string {
  return ns.run('nft', [...options, 'list', 'table', 'ip', 'sluice']);
}

/** The listing as a set of lines, without the numbers of buckets, which history may choose. */
export function unordered(text: string): string[] {
  return (
    text
      .split(/[\n,]/)
      .map((line) =>
        line
          .trim()
          .replace(/^elements = \{ /, '')
          .replace(/ \}$/, ''),
      )
      .map((line) => line.replace(/ \. (?:none|0:[0-9a-f]+) : (?=\d)/, ' : '))
      // The mark of the last write stands alone.
      .filter((line) => line !== '' && line !== '}' && !/^[0-9a-f]+:[0-9a-f]+$/.test(line))
      .toSorted()
  );
}

/** One of each kind. */
export function variedDecisions(): Decision[] {
  const some = Array.from({ length: 5 }, (_, at) =>
    endpoint(at, { local: at < 2, weight: at === 4 ? 3 : 1 }),
  );
  const local = some.filter((one) => one.local);
  return [
    decision(1, { cluster: some, nodePort: 30_001 }),
    decision(2, {
      cluster: some,
      local,
      nodePort: 30_002,
      balancerIPs: ['192.0.2.2'],
      external: { kind: 'balance', to: 'local' },
      shortcut: { kind: 'balance', to: 'cluster' },
      sourceRanges: ['10.0.0.0/8', '10.1.0.0/16', '198.51.100.7/32'],
      guardEverything: true,
    }),
    decision(3, { cluster: some, affinitySeconds: 10_800, nodePort: 30_003 }),
    decision(4, { cluster: some, balancing: 'hash', externalIPs: ['192.0.2.4'] }),
    decision(5, { internal: { kind: 'reject' }, external: { kind: 'reject' }, nodePort: 30_005 }),
    decision(6, { internal: { kind: 'drop' }, external: { kind: 'drop' }, externalIPs: ['192.0.2.6'] }),
  ];
}

export const variedNode: NodeDecision = { ...plainNode, serviceRanges: ['10.96.0.0/16'] };
