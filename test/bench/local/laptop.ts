/** Laptop mode beside a direct connection, and what a running `sluice local` holds in memory. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { apply } from '../../../src/sandbox/objects.ts';
import { until } from '../../../src/sandbox/demo/stage.ts';
import { LaptopGround, tcpEcho } from '../../cluster/laptop-ground.ts';
import type { BenchOptions, Row } from '../bench.ts';
import { buildBundle } from '../cluster/measure.ts';

const node = '127.75.0.1';
const service = '127.75.1.1';
const port = 18_080;
const bytes = 2 * 2 ** 30;
const streams = 4;
const connections = 6_000;
const atOnce = 32;
const rounds = 5;
const services = 200;
/** What another process on this kernel reaches at least: the goal of the issue. */
const share = 0.4;

export async function measureLaptop({
  progress,
  signal,
}: Pick<BenchOptions, 'progress' | 'signal'>): Promise<readonly Row[]> {
  progress('laptop: throughput and connection rate');
  const rows = await compare(signal);
  progress('building the bundle');
  await buildBundle();
  progress(`laptop: memory with ${services} Services`);
  return [...rows, ...(await memory(signal))];
}

async function compare(signal: AbortSignal): Promise<readonly Row[]> {
  const server = await child(['server', node, String(port)]);
  const proxy = await child(['proxy', service, String(port), node, String(port)]);
  try {
    const figures = { direct: [] as number[], ours: [] as number[] };
    const rates = { direct: [] as number[], ours: [] as number[] };
    // In turn, so that what else the machine does meets both.
    for (let round = 0; round < rounds; round += 1) {
      signal.throwIfAborted();
      figures.direct.push(await throughput(node));
      figures.ours.push(await throughput(service));
      rates.direct.push(await connectionRate(node));
      rates.ours.push(await connectionRate(service));
    }
    const row = (what: string, unit: string, found: typeof figures): Row => {
      const direct = Math.max(...found.direct);
      return {
        what: `laptop proxy: ${what}, best of ${rounds}`,
        unit,
        ours: Math.max(...found.ours),
        peer: { name: 'direct', value: direct },
        better: 'higher',
        goal: { kind: 'times better', value: share },
      };
    };
    return [
      row(`throughput of ${streams} streams`, 'Gbit/s', figures),
      row(`new connections, ${atOnce} at once`, '1/s', rates),
    ];
  } finally {
    for (const one of [proxy, server]) {
      one.stdin?.end();
      await once(one, 'exit');
    }
  }
}

async function child(args: readonly string[]): Promise<ChildProcess> {
  const started = spawn(process.execPath, [join(import.meta.dirname, 'laptop-child.ts'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(started.stdout, 'data');
  return started;
}

/** Gbit/s. */
async function throughput(address: string): Promise<number> {
  const started = performance.now();
  const part = bytes / streams;
  await Promise.all(
    Array.from({ length: streams }, async () => {
      const socket = connect({ host: address, port });
      let got = 0;
      socket.on('data', (data: Buffer) => {
        got += data.length;
      });
      socket.write(`bytes ${part}`);
      await once(socket, 'close');
      if (got !== part) throw new Error(`${got} bytes came of ${part}`);
    }),
  );
  return (bytes * 8) / 1e9 / ((performance.now() - started) / 1_000);
}

/** Connections a second that were opened, asked, answered and closed. */
async function connectionRate(address: string): Promise<number> {
  const started = performance.now();
  let left = connections;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const socket = connect({ host: address, port, noDelay: true });
      let answer = '';
      socket.on('data', (data: Buffer) => {
        answer += data.toString('latin1');
      });
      socket.write('x');
      await once(socket, 'close');
      if (answer !== 'x') throw new Error('an answer was lost');
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return connections / ((performance.now() - started) / 1_000);
}

async function memory(signal: AbortSignal): Promise<readonly Row[]> {
  const ground = await LaptopGround.open({ bundle: true });
  // One node port server for all: what is measured is the proxy.
  const echo = await tcpEcho(node, 31_500, 'node');
  try {
    await ground.node('n1', node);
    for (let i = 0; i < services; i += 1) {
      signal.throwIfAborted();
      await apply(ground.api, ground.service({ ports: [{ port: 7_500 }] }, `s${i}`));
    }
    const started = performance.now();
    const local = ground.local(['--via', 'nodes']);
    const { value } = await until(
      `${services} open Services`,
      () => {
        const open = local.rows().filter(({ ports }) => ports[0]?.listenPort !== undefined);
        return Promise.resolve(open.length === services ? performance.now() - started : undefined);
      },
      { limitMs: 120_000, signal },
    );
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const status = await readFile(`/proc/${local.pid}/status`, 'utf8');
    const resident = Number(/^VmRSS:\s+(\d+) kB/mu.exec(status)?.[1]) / 1024;
    const ended = performance.now();
    const code = await local.end();
    if (code !== 0) throw new Error(`sluice local ended with ${code}: ${local.err}`);
    return [
      {
        what: `laptop: resident memory with ${services} Services`,
        unit: 'MB',
        ours: resident,
        goal: { kind: 'at most', value: 150 },
      },
      { what: `laptop: start until ${services} Services are open`, unit: 's', ours: value / 1_000 },
      {
        what: `laptop: Ctrl-C until ${services} Services are as they were`,
        unit: 's',
        ours: (performance.now() - ended) / 1_000,
      },
    ];
  } finally {
    await echo.close();
    await ground.close();
  }
}
