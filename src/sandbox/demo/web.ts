/**
 * The web servers of a demo's pods and the requests of its client, as small programs that run in namespaces, where
 * this process cannot go. They are given as text, so that they also run from the bundle.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Bed } from '../bed/bed.ts';
import type { Attempt } from '../bed/traffic.ts';
import { until } from './stage.ts';

/** Where pods listen. */
export const webPort = 8080;

const server = `
const { createServer } = require('node:http');
const [name, port] = process.argv.slice(1);
createServer({ keepAliveTimeout: 1 }, (request, response) => {
  const from = request.socket.remoteAddress.replace('::ffff:', '');
  response.end('pod ' + name + ', asked by ' + from + '\\n');
}).listen(Number(port), '::');
`;

/** One request each few milliseconds, each on a connection of its own; a line for each, until its input ends. */
const client = `
const { request } = require('node:http');
const [url, everyMs, limitMs] = process.argv.slice(1);
const now = () => Number(process.hrtime.bigint() / 1000n);
const timer = setInterval(() => {
  const atUs = now();
  let said = '';
  const tell = (kind) => console.log(JSON.stringify({ atUs, us: now() - atUs, kind, self: said.split(',')[0] }));
  const options = { agent: false, signal: AbortSignal.timeout(Number(limitMs)) };
  request(url, options, (answer) => {
    answer.setEncoding('utf8').on('data', (text) => (said += text)).on('error', () => {});
    answer.on('close', () => tell(answer.complete ? 'answered' : 'silence'));
  }).on('error', (error) => tell(error.code === 'ECONNREFUSED' ? 'refused' : 'silence')).end();
}, Number(everyMs));
process.stdin.resume().on('end', () => {
  clearInterval(timer);
});
`;

/** Starts the web server of a pod. It ends with the bed. */
export async function servePod(bed: Bed, pod: string): Promise<void> {
  await bed.start(pod, {
    name: `web-${pod}`,
    program: process.execPath,
    args: ['-e', server, pod, `${webPort}`],
  });
}

export interface Requests {
  /** What came of those that have ended, in the order in which they ended. */
  readonly attempts: readonly Attempt[];
  /** Stops asking, and waits for what is under way. */
  close(): Promise<readonly Attempt[]>;
}

export const everyMs = 10;
/** A connection whose first packet is lost asks again after a second: it counts as lost. */
const shortLimitMs = 300;

/** Requests until they are closed, from wherever `spawn` starts a program. */
export function startRequests(
  url: string,
  spawn: (program: string, args: readonly string[]) => ChildProcessWithoutNullStreams,
  limitMs = shortLimitMs,
): Requests {
  const child = spawn(process.execPath, ['-e', client, url, `${everyMs}`, `${limitMs}`]);
  const attempts: Attempt[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => attempts.push(JSON.parse(line) as Attempt));
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
    child.on('error', () => resolve());
  });
  return {
    attempts,
    close: async () => {
      child.stdin.end();
      await ended;
      return attempts;
    },
  };
}

/** Waits until that many of the newest requests were answered, one after the other. */
export async function answeredInARow(
  requests: Requests,
  count: number,
  signal: AbortSignal,
  since = 0,
): Promise<void> {
  await until(
    `${count} answers in a row`,
    () => {
      const newest = requests.attempts.slice(since).slice(-count);
      return Promise.resolve(
        (newest.length === count && newest.every(({ kind }) => kind === 'answered')) || undefined,
      );
    },
    { signal, limitMs: 15_000 },
  );
}

const fetchText =
  'fetch(process.argv[1], { signal: AbortSignal.timeout(3000) }).then(async (a) => console.log(await a.text()))';

/** The program and arguments of one request, as a person would make it; by Node where there is no curl. */
export function curlOf(url: string, hasCurl: boolean): readonly [string, readonly string[]] {
  return hasCurl ? ['curl', ['-sS', '--max-time', '3', url]] : [process.execPath, ['-e', fetchText, url]];
}
