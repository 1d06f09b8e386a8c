/**
 * A scripted API server in a process of its own: whole lists, pages, streaming lists and watches of the
 * same objects, made ready before it listens, so that what is measured is the reader and not the server.
 *
 * Arguments: counts as JSON. Prints its port. `POST /updates` tells the changes on the watch of the slices.
 */
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { nodeAt, serviceAt, sliceAt } from './data.ts';
import type { Counts } from './data.ts';

const counts = JSON.parse(process.argv[2] ?? '{}') as Counts;
const version = '9000000';

interface Collection {
  readonly apiVersion: string;
  readonly kind: string;
  /** Each object's JSON. */
  readonly items: readonly Buffer[];
  readonly watchers: Set<ServerResponse>;
}

function collection(
  apiVersion: string,
  kind: string,
  count: number,
  at: (index: number) => object,
): Collection {
  const items = Array.from({ length: count }, (_, index) => Buffer.from(JSON.stringify(at(index))));
  return { apiVersion, kind, items, watchers: new Set() };
}

const collections: Readonly<Record<string, Collection>> = {
  '/api/v1/nodes': collection('v1', 'NodeList', counts.nodes, nodeAt),
  '/api/v1/services': collection('v1', 'ServiceList', counts.services, serviceAt),
  '/apis/discovery.k8s.io/v1/endpointslices': collection(
    'discovery.k8s.io/v1',
    'EndpointSliceList',
    counts.slices,
    (index) => sliceAt(index),
  ),
};

const updates = Buffer.from(
  Array.from(
    { length: counts.updates },
    (_, index) =>
      `${JSON.stringify({ type: 'MODIFIED', object: sliceAt(index % counts.slices, 9_000_001 + index) })}\n`,
  ).join(''),
);

/** Half a megabyte at a time, no faster than the reader takes it. */
async function send(response: ServerResponse, parts: Iterable<Buffer>): Promise<void> {
  let batch: Buffer[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(batch);
    [batch, size] = [[], 0];
    if (response.write(bytes)) return;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve);
    });
  };
  for (const part of parts) {
    batch.push(part);
    size += part.length;
    if (size > 512 * 1024) await flush();
  }
  await flush();
}

const comma = Buffer.from(',');
const addedHead = Buffer.from('{"type":"ADDED","object":');
const addedTail = Buffer.from('}\n');

function* listBody(from: Collection, start: number, end: number): Generator<Buffer> {
  const next = end < from.items.length ? `,"continue":"${end}"` : '';
  yield Buffer.from(
    `{"kind":"${from.kind}","apiVersion":"${from.apiVersion}","metadata":{"resourceVersion":"${version}"${next}},"items":[`,
  );
  for (let index = start; index < end; index += 1) {
    if (index > start) yield comma;
    yield from.items[index] ?? Buffer.alloc(0);
  }
  yield Buffer.from(']}\n');
}

function* streamBody(from: Collection): Generator<Buffer> {
  for (const item of from.items) {
    yield addedHead;
    yield item;
    yield addedTail;
  }
  const metadata = { resourceVersion: version, annotations: { 'k8s.io/initial-events-end': 'true' } };
  yield Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
}

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://api');
  const from = collections[url.pathname];
  response.setHeader('content-type', 'application/json');
  response.on('error', () => undefined);
  if (url.pathname === '/updates') {
    const watchers = collections['/apis/discovery.k8s.io/v1/endpointslices']?.watchers ?? [];
    response.end(String([...watchers].length));
    for (const watcher of watchers) watcher.write(updates);
  } else if (from === undefined) {
    response.writeHead(404).end('{}');
  } else if (url.searchParams.get('watch') === 'true') {
    response.flushHeaders();
    response.on('close', () => from.watchers.delete(response));
    const list = url.searchParams.get('sendInitialEvents') === 'true' ? streamBody(from) : [];
    void send(response, list).then(() => from.watchers.add(response));
  } else {
    const start = Number(url.searchParams.get('continue') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? from.items.length);
    void send(response, listBody(from, start, Math.min(from.items.length, start + limit))).then(() =>
      response.end(),
    );
  }
});

server.listen(0, '127.0.0.1', () => {
  const bytes = Object.values(collections).reduce(
    (sum, each) => sum + each.items.reduce((size, item) => size + item.length, 0),
    0,
  );
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port, bytes }));
});
