/**
 * The sandbox's etcd: one member that listens on Unix sockets in the sandbox's folder and nowhere else.
 *
 * No port can clash and no other user of the machine can reach it. Nothing is synced to disk, because the data
 * never outlives the folder.
 */
import { join } from 'node:path';
import { type Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import { callSocket } from './requests.ts';
import { flagArguments, ServerProcess } from './server-process.ts';
import type { Supervisor } from './processes.ts';

export interface EtcdOptions {
  readonly supervisor: Supervisor;
  readonly clock: Clock;
  /** Path of the program. */
  readonly program: string;
  readonly readyWithinMs: number;
  readonly flags?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onUnexpectedEnd?: ((message: string) => void) | undefined;
}

/** The longest path of a Unix socket that Linux and macOS both accept. */
const longestSocketPath = 103;

export class Etcd extends ServerProcess {
  /** What the API server's `--etcd-servers` takes. */
  readonly endpoint: string;
  readonly #httpSocket: string;

  constructor(options: EtcdOptions) {
    const { supervisor, program } = options;
    const socket = (name: string): string => join(supervisor.folder, name);
    const httpSocket = socket('etcd-http.sock');
    if (Buffer.byteLength(httpSocket) > longestSocketPath) {
      throw new SluiceError(
        'invalid',
        `the temporary folder's path is too long for a Unix socket: ${supervisor.folder}. Set TMPDIR to a shorter one.`,
        { code: 'PathTooLong' },
      );
    }
    // A single member never calls itself: the addresses that it advertises are there only because they must be.
    const nowhere = 'http://127.0.0.1:1';
    super({
      ...options,
      spec: {
        name: 'etcd',
        program,
        args: flagArguments({
          name: 'sandbox',
          'data-dir': join(supervisor.folder, 'etcd'),
          'listen-client-urls': `unix://${socket('etcd.sock')}`,
          'listen-client-http-urls': `unix://${httpSocket}`,
          'listen-peer-urls': `unix://${socket('etcd-peer.sock')}`,
          'advertise-client-urls': nowhere,
          'initial-advertise-peer-urls': nowhere,
          'initial-cluster': `sandbox=${nowhere}`,
          'unsafe-no-fsync': true,
          'log-level': 'warn',
          ...options.flags,
        }),
      },
      isReady: async () => (await callSocket(httpSocket, { method: 'GET', path: '/readyz' })).status === 200,
    });
    this.endpoint = `unix://${socket('etcd.sock')}`;
    this.#httpSocket = httpSocket;
  }

  /**
   * Forgets every revision before the present one. Who then asks for an older one is told so: a list that
   * continues from it, or a watch that an API server cannot serve from its own cache, gets 410.
   */
  async compact(): Promise<void> {
    const header = await this.#post('/v3/kv/range', { key: 'AA==', count_only: true });
    await this.#post('/v3/kv/compaction', { revision: header.revision, physical: true });
  }

  /** Etcd's JSON gateway; 64-bit numbers are strings there. */
  async #post(path: string, body: unknown): Promise<{ readonly revision: string }> {
    const answer = await callSocket(this.#httpSocket, { method: 'POST', path, body });
    const reply = answer.json as { readonly header?: { readonly revision?: string } } | undefined;
    const revision = reply?.header?.revision;
    if (answer.status !== 200 || revision === undefined) {
      throw new SluiceError('transient', `etcd answered ${answer.status} to ${path}: ${answer.text}`, {
        code: 'EtcdRefused',
        action: path,
      });
    }
    return { revision };
  }
}
