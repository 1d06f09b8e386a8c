/**
 * What the cluster tests of laptop mode stand on: a real API server, nodes whose InternalIP is an address of
 * 127.0.0.0/8 where servers of the test listen as node ports, and `sluice local` as a process of its own.
 *
 * Each ground takes an address block of its own, so that grounds can run side by side.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LocalRow } from '../../src/commands/local-table.ts';
import { connect as connectApi, type Connection } from '../../src/kube/connection.ts';
import { startControlPlane, type ControlPlane } from '../../src/sandbox/control-plane.ts';
import { until } from '../../src/sandbox/demo/stage.ts';
import { merge } from '../../src/sandbox/demo/patch.ts';
import { apply, read, remove, type Manifest } from '../../src/sandbox/objects.ts';

const root = new URL('../../', import.meta.url);

export interface Echo {
  /** Connections so far. */
  readonly connections: () => number;
  close(): Promise<void>;
}

/** A node port of a node: says its name, then echoes; ends when its client ends. */
export async function tcpEcho(address: string, port: number, name: string): Promise<Echo> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.write(`${name}\n`);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  return {
    connections: () => connections,
    close: async () => {
      for (const socket of sockets) socket.resetAndDestroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export async function udpEcho(address: string, port: number, name: string): Promise<Echo> {
  let datagrams = 0;
  const socket: UdpSocket = createSocket('udp4');
  socket.on('message', (data, from) => {
    datagrams += 1;
    socket.send(`${name}:${data.toString()}`, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  return {
    connections: () => datagrams,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** What a server says on a new connection, up to its end or `limitMs`; undefined where it cannot be reached. */
export function ask(address: string, port: number, say = '', limitMs = 10_000): Promise<string | undefined> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect({ host: address, port, timeout: limitMs });
    const end = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => socket.end(say));
    socket.on('data', (data) => {
      heard += data.toString();
    });
    socket.on('end', () => end(heard));
    socket.on('timeout', () => end(undefined));
    socket.on('error', () => end(undefined));
  });
}

export function askUdp(
  address: string,
  port: number,
  say: string,
  limitMs = 10_000,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const timer = setTimeout(() => end(undefined), limitMs);
    const end = (answer: string | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    socket.once('message', (data) => end(data.toString()));
    socket.once('error', () => end(undefined));
    socket.send(say, port, address);
  });
}

/** A running `sluice local`. */
export class Local {
  readonly #child: ChildProcess;
  out = '';
  err = '';
  readonly ended: Promise<number>;

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [program, 'local', ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.out += data.toString();
    });
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.err += data.toString();
    });
    this.ended = new Promise((resolve) =>
      this.#child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 1))),
    );
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The table as it was shown last. */
  rows(): readonly LocalRow[] {
    const line = this.out.trimEnd().split('\n').at(-1) ?? '';
    if (line === '') return [];
    return (JSON.parse(line) as { readonly services: readonly LocalRow[] }).services;
  }

  async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number> {
    this.#child.kill(signal);
    return await this.ended;
  }
}

export class LaptopGround {
  readonly plane: ControlPlane;
  readonly api: Connection;
  readonly state: string;
  readonly #locals: Local[] = [];
  readonly #made: Manifest[] = [];
  #count = 0;

  readonly #program: string;

  private constructor(plane: ControlPlane, api: Connection, state: string, program: string) {
    this.#program = program;
    this.plane = plane;
    this.api = api;
    this.state = state;
  }

  /** `bundle`: run what `npm run build` made, as a user of the package does. */
  static async open({ bundle = false }: { readonly bundle?: boolean } = {}): Promise<LaptopGround> {
    const program = fileURLToPath(new URL(bundle ? 'dist/sluice.js' : 'bin/sluice.js', root));
    const plane = await startControlPlane();
    const api = await connectApi({ path: plane.admin.path });
    return new LaptopGround(plane, api, await mkdtemp(join(tmpdir(), 'sluice-laptop-')), program);
  }

  /**
   * Whatever a failed test left running, and the Services that it made, with nobody there to take the finalizer off: a
   * second try makes the same ones.
   */
  async tidy(): Promise<void> {
    for (const local of this.#locals.splice(0)) await local.end('SIGKILL');
    for (const made of this.#made.splice(0)) {
      if ((await read(this.api, made)) === undefined) continue;
      await merge(this.api, made, { metadata: { finalizers: null } });
      await remove(this.api, made);
    }
  }

  async close(): Promise<void> {
    await this.tidy();
    await this.api.close();
    await this.plane.stop();
    await rm(this.state, { recursive: true, force: true });
  }

  /** `state`: the folder of another machine; default: of the first one. */
  local(args: readonly string[] = [], form: 'json' | 'text' = 'json', state = this.state): Local {
    const local = new Local(
      this.#program,
      ['--kubeconfig', this.plane.admin.path, '--output', form, ...args],
      {
        SLUICE_STATE_DIR: state,
      },
    );
    this.#locals.push(local);
    return local;
  }

  /** What `sluice explain` says of a Service, on the machine of `state`. */
  async explain(name: string): Promise<{ readonly code: number; readonly out: string }> {
    const args = [this.#program, 'explain', name, '-n', 'default', '--kubeconfig', this.plane.admin.path];
    const env = { PATH: process.env['PATH'] ?? '', SLUICE_STATE_DIR: this.state };
    return await new Promise((resolve) =>
      execFile(process.execPath, args, { env }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, out: stdout + stderr }),
      ),
    );
  }

  async node(name: string, address: string, kubeletPort?: number): Promise<void> {
    await apply(this.api, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec: {},
      status: {
        addresses: [{ type: 'InternalIP', address }],
        ...(kubeletPort === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } }),
      },
    });
  }

  service(spec: object, name?: string): Manifest {
    this.#count += 1;
    const service: Manifest = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'default', name: name ?? `web-${this.#count}` },
      spec: {
        type: 'LoadBalancer',
        loadBalancerClass: 'sluice.dev/local',
        selector: { app: 'web' },
        ...spec,
      },
    };
    this.#made.push(service);
    return service;
  }

  async slice(service: string, endpoints: readonly object[], port = 8080): Promise<void> {
    const slice: Manifest = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: 'default',
        name: `${service}-1`,
        labels: { 'kubernetes.io/service-name': service },
      },
      addressType: 'IPv4',
      ports: [{ name: '', protocol: 'TCP', port }],
      endpoints,
    };
    this.#made.push(slice);
    await apply(this.api, slice);
  }

  /** The node port that the API server gave. */
  async nodePort(service: Manifest, port: number, protocol = 'TCP'): Promise<number> {
    const live = await read(this.api, service);
    const spec = (live?.['spec'] ?? {}) as {
      readonly ports?: readonly {
        readonly port: number;
        readonly protocol: string;
        readonly nodePort: number;
      }[];
    };
    return spec.ports?.find((one) => one.port === port && one.protocol === protocol)?.nodePort ?? 0;
  }

  /** Waits until a row of the table passes `test`. */
  async shows(
    local: Local,
    service: string,
    awaited: string,
    test: (row: LocalRow) => boolean,
    limitMs = 60_000,
  ): Promise<LocalRow> {
    const { value } = await until(
      `default/${service} ${awaited}`,
      () => {
        const row = local.rows().find((one) => one.service === `default/${service}`);
        return Promise.resolve(row !== undefined && test(row) ? row : undefined);
      },
      {
        limitMs,
        seen: () => Promise.resolve(`${JSON.stringify(local.rows())}\n${local.err}`),
      },
    );
    return value;
  }
}
