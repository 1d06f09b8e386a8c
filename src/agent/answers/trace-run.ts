/**
 * Sends one real packet and listens to what the kernel says of it.
 *
 * Needs root and the program nft on the node. The rules of either backend are traced, but for those of iptables-legacy,
 * which the kernel does not keep in nf_tables. The marking table belongs to the `nft` that made it, so the kernel removes it
 * with that process, however it ends. A source that is neither the node's nor in a named network namespace cannot be
 * sent as; then a packet of its own is waited for.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { SluiceError } from '../../core/errors.ts';
import { parseAddresses } from '../addresses.ts';
import type { RunTool, Spawn } from '../tool.ts';
import type { PacketAnswer } from './packet-answer.ts';
import { iptablesTexts } from './trace-rules.ts';
import { isProbe, judgeTrace, probePort, traceRules, type TraceReport } from './trace.ts';

export interface TraceOptions {
  readonly run: RunTool;
  readonly spawn: Spawn;
  readonly random: () => number;
  readonly answer: PacketAnswer;
  /** Network namespace to send from; by default the one that holds the source. */
  readonly netns: string | undefined;
  /** Addresses of this machine's own interfaces. */
  readonly own: ReadonlySet<string>;
  /** Milliseconds to wait for a packet that somebody else has to send. */
  readonly waitMs: number;
  /** Tells the person what to do now. */
  readonly say: (text: string) => void;
}

/** Shorter than the first retransmission of a SYN, so that it stays one packet. */
const sendForMs = 800;
/** The kernel has said all when it is still for so long … */
const stillMs = 400;
/** … and this is how long a busy machine may take for its first word. */
const firstWordMs = 3_000;
const readyWithinMs = 10_000;

/**
 * Where a packet of this source can be sent from: here, a named network namespace, or undefined for nowhere.
 *
 * @throws SluiceError `invalid` where several namespaces have the address: a packet of the wrong one proves nothing.
 */
async function placeOf({ answer, own, run, netns }: TraceOptions): Promise<readonly string[] | undefined> {
  const { source } = answer.packet;
  if (netns !== undefined) return inside(netns);
  if (own.has(source) || source.startsWith('127.')) return [];
  const listed = await run('ip', ['netns', 'list']);
  const names = listed.out.split('\n').flatMap((line) => line.split(' ')[0] ?? []);
  const found: string[] = [];
  for (const name of names.filter((text) => text !== '')) {
    const { code, out } = await run('ip', ['-n', name, '-json', 'address', 'show']);
    if (code === 0 && parseAddresses(out).has(source)) found.push(name);
  }
  const [only, another] = found;
  if (another !== undefined) {
    throw new SluiceError(
      'invalid',
      `${found.length} network namespaces have the address ${source} (${found.slice(0, 5).join(', ')}); name the right one with --netns`,
      { code: 'SourceAmbiguous' },
    );
  }
  return only === undefined ? undefined : inside(only);
}

const inside = (name: string): readonly string[] => ['ip', 'netns', 'exec', name];

const sender = `
const [protocol, host, port, localAddress, localPort, forMs] = process.argv.slice(1);
const end = () => process.exit(0);
setTimeout(end, Number(forMs));
if (protocol === 'TCP') {
  const socket = require('node:net').connect({ host, port: Number(port), localAddress, localPort: Number(localPort) });
  socket.on('connect', end).on('error', (error) => { if (error.code !== 'ECONNREFUSED' && error.code !== 'ECONNRESET') { console.error(error.message); process.exit(1); } end(); });
} else {
  const socket = require('node:dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', (error) => { console.error(error.message); process.exit(1); });
  socket.bind(Number(localPort), localAddress, () => socket.send('sluice', Number(port), host));
}`;

async function quiet(lines: readonly string[], seen: () => boolean): Promise<void> {
  const until = performance.now() + firstWordMs;
  let before = -1;
  while (performance.now() < until && (lines.length !== before || !seen())) {
    before = lines.length;
    await later(stillMs);
  }
}

const nothing = (): void => undefined;

async function later(ms: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
}

/** @throws SluiceError `invalid` or `denied` where something is missing; the message names it. */
export async function tracePacket(options: TraceOptions): Promise<TraceReport> {
  const { run, spawn, random, answer, waitMs, say } = options;
  const { packet } = answer;
  if (packet.protocol === 'SCTP')
    throw new SluiceError('invalid', '--trace sends TCP or UDP; SCTP cannot be sent from here', {
      code: 'CannotSend',
    });
  if (process.getuid?.() !== 0)
    throw new SluiceError('denied', '--trace needs root on the node; run it there with sudo', {
      code: 'NotRoot',
    });
  const place = await placeOf(options);
  const sourcePort = place === undefined ? undefined : 20_000 + Math.floor(random() * 12_000);
  const probeSource = 20_000 + Math.floor(random() * 12_000);
  const table = `sluice-trace-${process.pid}`;
  const marker = spawn('nft', ['-i']);
  const monitor = spawn('nft', ['-a', 'monitor', 'trace']);
  const children = [marker, monitor];
  const problems: string[] = [];
  const lines: string[] = [];
  const monitored = { reads: false, heard: nothing };
  for (const child of children) {
    child.stdin?.on('error', () => undefined);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => problems.push(text.trim()));
    child.on('error', (cause: NodeJS.ErrnoException) => problems.push(cause.message));
  }
  marker.stdout?.resume();
  if (monitor.stdout) {
    createInterface({ input: monitor.stdout }).on('line', (line) => {
      if (isProbe(line, probeSource)) monitored.reads = true;
      else lines.push(line);
      monitored.heard();
    });
  }
  try {
    marker.stdin?.write(`${traceRules(table, packet, sourcePort, probeSource).join('\n')}\n`);
    const loopback = packet.family === 'IPv4' ? '127.0.0.1' : '::1';
    const probe = ['-e', sender, 'UDP', loopback, String(probePort), loopback, String(probeSource), '20'];
    const until = performance.now() + readyWithinMs;
    while (!monitored.reads && performance.now() < until && problems.length === 0) {
      await run(process.execPath, probe);
      await later(20);
    }
    if (problems.length > 0 || !monitored.reads) throw missing(problems.join('; '));
    if (place === undefined) {
      say(
        `cannot send as ${packet.source} from here (it is neither an address of this machine nor of a named network namespace); waiting ${Math.round(waitMs / 1000)} s for a packet of its own to ${packet.destination} port ${packet.port}: start a new connection there now\n`,
      );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        monitored.heard = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    } else {
      const [program, ...before] =
        place[0] === undefined ? [process.execPath] : [place[0], ...place.slice(1), process.execPath];
      const args = [
        '-e',
        sender,
        packet.protocol,
        packet.destination,
        String(packet.port),
        packet.source,
        String(sourcePort),
        String(sendForMs),
      ];
      const { code, error } = await run(program, [...before, ...args]);
      if (code !== 0)
        throw new SluiceError('transient', `the packet could not be sent: ${error}`, { code: 'NotSent' });
    }
    await quiet(lines, () => judgeTrace(lines, answer, table).steps.length > 0);
    const { steps } = judgeTrace(lines, answer, table);
    return judgeTrace(lines, answer, table, await iptablesTexts(steps, packet.family, run));
  } finally {
    marker.stdin?.end();
    monitor.kill();
    const alive = children.filter(
      ({ exitCode, signalCode, pid }) => pid !== undefined && exitCode === null && signalCode === null,
    );
    await Promise.all(alive.map((child) => once(child, 'close').catch(() => undefined)));
  }
}

function missing(said: string): SluiceError {
  const text = said === '' ? 'the kernel told nothing of a packet that was marked' : said;
  if (/ENOENT/u.test(said))
    return new SluiceError(
      'invalid',
      '--trace needs the program nft on this node, whichever backend is used: install nftables. Without it, iptables-nft shows the way of packets by its target TRACE in table raw and xtables-monitor --trace',
      { code: 'ToolMissing' },
    );
  if (/not permitted|denied/iu.test(said))
    return new SluiceError('denied', `--trace needs root with NET_ADMIN on the node (${text})`, {
      code: 'NotPermitted',
    });
  return new SluiceError('transient', `--trace does not work here: ${text}`, { code: 'CannotTrace' });
}
