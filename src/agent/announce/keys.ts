/**
 * The key that heartbeats are sealed with, from the Secret `sluice-heartbeat` that the controller makes.
 *
 * `data.key` seals and opens; `data.previous`, where there is one, opens too, so that a new key can be rolled out while
 * some agents still have the old one.
 */
import type { Clock, Random } from '../../core/clock.ts';
import type { Uid } from '../../core/objects.ts';
import type { Api } from '../../kube/api.ts';
import { heartbeatSecret } from '../../kube/heartbeat-secret.ts';
import type { Kind } from '../../kube/kinds.ts';
import type { RawObject } from '../../kube/raw.ts';
import { Reader } from '../../kube/reader.ts';
import type { ReaderReport } from '../../kube/reader-report.ts';

const leastBytes = 16;

interface KeyObject {
  readonly uid: Uid;
  readonly resourceVersion: string;
  readonly keys: readonly Buffer[];
}

interface RawSecret extends RawObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface KeyWatchOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly onChange: () => void;
  readonly report: (event: ReaderReport) => void;
}

export class KeyWatch {
  readonly #reader: Reader<string, KeyObject>;
  readonly #name: string;
  readonly #onChange: () => void;

  constructor({ api, namespace, clock, random, onChange, report }: KeyWatchOptions) {
    this.#name = `${namespace}/${heartbeatSecret}`;
    this.#onChange = onChange;
    this.#reader = new Reader({ api, kind: secret(namespace), clock, random, report });
  }

  async start(): Promise<void> {
    this.#reader.subscribe(() => this.#onChange());
    this.#reader.start();
    await this.#reader.synced();
  }

  /** None until the controller has made the Secret. */
  keys(): readonly Buffer[] {
    return this.#reader.store.get(this.#name)?.keys ?? [];
  }

  async stop(): Promise<void> {
    await this.#reader.stop();
  }
}

function secret(namespace: string): Kind<string, KeyObject> {
  return {
    name: 'heartbeat secret',
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`,
    fieldSelector: `metadata.name=${heartbeatSecret}`,
    slim: (raw: RawSecret) => ({
      uid: (raw.metadata?.uid ?? '') as Uid,
      resourceVersion: raw.metadata?.resourceVersion ?? '',
      keys: ['key', 'previous'].flatMap((name) => {
        const bytes = Buffer.from(raw.data?.[name] ?? '', 'base64');
        return bytes.length >= leastBytes ? [bytes] : [];
      }),
    }),
  };
}
