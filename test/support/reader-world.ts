/**
 * A reader of Services on real sockets against a scripted server, with everything it said written down.
 * Times are scaled down: a back-off of milliseconds, an inactivity limit of a fraction of a second.
 */
import { vi } from 'vitest';

import type { ObjectKey, ServiceObject } from '../../src/core/objects.ts';
import { Connection, plainAccess } from '../../src/kube/connection.ts';
import { services } from '../../src/kube/kinds.ts';
import type { Kind } from '../../src/kube/kinds.ts';
import { Reader } from '../../src/kube/reader.ts';
import type { ReaderReport } from '../../src/kube/reader-report.ts';
import { ScriptedApi } from './scripted-api.ts';
import type { Step } from './scripted-api.ts';

export class ReaderWorld {
  readonly api: ScriptedApi;
  readonly connection: Connection;
  readonly reader: Reader<ObjectKey, ServiceObject>;
  /** Each change that the handlers were told: `added web uid@version`. */
  readonly heard: string[] = [];
  readonly reports: ReaderReport[] = [];

  private constructor(
    api: ScriptedApi,
    kind: Kind<ObjectKey, ServiceObject>,
    report: (event: ReaderReport) => void,
    whole: boolean,
    takeAfter: Promise<void> | undefined,
  ) {
    this.api = api;
    this.connection = new Connection(plainAccess(api.url));
    this.reader = new Reader({
      api: this.connection,
      kind,
      whole,
      ...(takeAfter === undefined ? {} : { takeAfter }),
      indexes: { type: (one) => one.type },
      timings: { backoff: { minMs: 4, maxMs: 30, healthyMs: 500 }, inactivityMs: 250, shortWatchMs: 3 },
      report: (event) => {
        this.reports.push(event);
        report(event);
      },
    });
    this.reader.subscribe((change) => {
      this.heard.push(
        `${change.kind} ${change.object.name} ${change.object.uid}@${change.object.resourceVersion}`,
      );
    });
  }

  static async make(
    options: {
      readonly kind?: Kind<ObjectKey, ServiceObject>;
      readonly report?: (event: ReaderReport) => void;
      /** Lists come in one answer. */
      readonly whole?: boolean;
      readonly takeAfter?: Promise<void>;
    } = {},
  ): Promise<ReaderWorld> {
    return new ReaderWorld(
      await ScriptedApi.start(),
      options.kind ?? services(),
      options.report ?? (() => undefined),
      options.whole ?? false,
      options.takeAfter,
    );
  }

  /** Starts the reader on this script and waits for its first list. */
  async run(...steps: readonly Step[]): Promise<void> {
    this.api.script(...steps);
    this.reader.start();
    await this.reader.synced();
  }

  /** `name@version` of all that the store holds. */
  names(): readonly string[] {
    return this.reader.store
      .list()
      .map((one) => `${one.name}@${one.resourceVersion}`)
      .toSorted();
  }

  /** What the requests asked for, in order. */
  asked(): readonly string[] {
    return this.api.requests.map(({ query }) => {
      if (query.get('sendInitialEvents') === 'true') return 'stream';
      if (query.get('watch') === 'true') return `watch ${query.get('resourceVersion') ?? 'any'}`;
      if (!query.has('limit')) return 'whole';
      return query.has('continue') ? `page ${query.get('continue') ?? ''}` : 'page';
    });
  }

  failureCodes(): readonly string[] {
    return this.reports.flatMap((event) => (event.kind === 'failed' ? [event.error.code] : []));
  }

  async close(): Promise<void> {
    await this.reader.stop();
    await this.connection.close();
    await this.api.close();
  }
}

/** A Service of namespace `shop`, as the API sends it. */
export function serviceJson(name: string, version: string, uid = `uid-${name}`): object {
  return {
    metadata: { name, namespace: 'shop', uid, resourceVersion: version },
    spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
  };
}

export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 3_000, interval: 5 });
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
