/**
 * A stand-in for the kubelet's port-forward endpoint, since the sandbox has no kubelets: TLS, and SPDY/3.1 as the API
 * server asks for it (`POST /portForward/NAMESPACE/POD`, `Upgrade: SPDY/3.1`). A "pod" is a port on this machine.
 *
 * It reads header blocks with zlib as the real one does, and is held against the real `kubectl port-forward` in
 * laptop-forward.test.ts, so that it is more than a mirror of our own client.
 */
import { createServer, type Server } from 'node:https';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { constants, inflateSync } from 'node:zlib';

const fin = 1;

export interface StandInKubelet {
  readonly port: number;
  /** `NAMESPACE/POD:PORT` of every stream so far. */
  readonly asked: readonly string[];
  /** Cuts every stream. */
  cut(): void;
  close(): Promise<void>;
}

/** @param portOf where a pod's port is on this machine; undefined: nobody listens there. */
export async function startStandInKubelet(
  tls: { readonly cert: string; readonly key: string },
  portOf: (pod: string, port: number) => { readonly host: string; readonly port: number } | undefined,
): Promise<StandInKubelet> {
  const asked: string[] = [];
  const sockets = new Set<Duplex>();
  const server: Server = createServer({ cert: tls.cert, key: tls.key }, (_, answer) =>
    answer.writeHead(404).end(),
  );
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    const match = /^\/portForward\/([^/]+)\/([^/?]+)/u.exec(request.url ?? '');
    if (match === null || request.headers.upgrade?.toLowerCase() !== 'spdy/3.1') {
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      return;
    }
    const pod = `${match[1] ?? ''}/${match[2] ?? ''}`;
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n' +
        'X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n',
    );
    serve(socket, (port) => {
      asked.push(`${pod}:${port}`);
      return portOf(pod, port);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    asked,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

type PortOf = (port: number) => { readonly host: string; readonly port: number } | undefined;

interface Pair {
  error?: number;
  data?: number;
  port: number;
  begun: boolean;
}

function serve(socket: Duplex, portOf: PortOf): void {
  const headers = createHeaderReader();
  const pairs = new Map<string, Pair>();
  const pods = new Map<number, Duplex>();
  const early = new Map<number, { bytes: Buffer[]; end: boolean }>();
  let chain = Promise.resolve();
  let rest: Buffer = Buffer.alloc(0);
  let replied = false;
  const data = (stream: number, bytes: Buffer, end: boolean): void => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(stream, 0);
    head.writeUInt32BE((end ? fin * 2 ** 24 : 0) + bytes.length, 4);
    socket.write(Buffer.concat([head, bytes]));
  };
  const begin = (pair: Pair): void => {
    const { data: stream, error } = pair;
    if (stream === undefined || error === undefined || pair.begun) return;
    pair.begun = true;
    const complain = (why: string): void => {
      data(error, Buffer.from(JSON.stringify({ closeConnection: false, message: why })), true);
      data(stream, Buffer.alloc(0), true);
    };
    const at = portOf(pair.port);
    if (at === undefined) {
      complain(`error forwarding port ${pair.port}: connection refused`);
      return;
    }
    const pod = connect({ ...at, allowHalfOpen: true });
    pod.on('data', (bytes: Buffer) => {
      data(stream, bytes, false);
      if (socket.writableNeedDrain) {
        pod.pause();
        socket.once('drain', () => pod.resume());
      }
    });
    pod.on('end', () => {
      data(stream, Buffer.alloc(0), true);
      data(error, Buffer.alloc(0), true);
    });
    pod.on('error', (cause) => complain(cause.message));
    socket.on('close', () => pod.destroy());
    pods.set(stream, pod);
    const waiting = early.get(stream);
    for (const bytes of waiting?.bytes ?? []) pod.write(bytes);
    if (waiting?.end === true) pod.end();
  };
  const opened = (stream: number, found: ReadonlyMap<string, string>): void => {
    const id = found.get('requestid') ?? '';
    const pair = pairs.get(id) ?? { port: Number(found.get('port')), begun: false };
    pairs.set(id, pair);
    if (found.get('streamtype') === 'error') pair.error = stream;
    else pair.data = stream;
    // No headers: the number 0, as a stored block of the one zlib stream that all replies share.
    const block = Buffer.from([
      ...(replied ? [] : [0x78, 0x01]),
      0,
      4,
      0,
      0xfb,
      0xff,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      0xff,
      0xff,
    ]);
    replied = true;
    const reply = Buffer.alloc(8 + 4);
    reply.writeUInt16BE(0x8003, 0);
    reply.writeUInt16BE(2, 2);
    reply.writeUInt32BE(4 + block.length, 4);
    reply.writeUInt32BE(stream, 8);
    socket.write(Buffer.concat([reply, block]));
    begin(pair);
  };
  const frame = async (head: Buffer, body: Buffer): Promise<void> => {
    const first = head.readUInt32BE(0);
    if (first < 0x8000_0000) {
      const end = ((head[4] ?? 0) & fin) !== 0;
      const pod = pods.get(first);
      if (pod !== undefined) {
        if (body.length > 0 && !pod.write(body)) await new Promise((resolve) => pod.once('drain', resolve));
        if (end) pod.end();
        return;
      }
      const waiting = early.get(first) ?? { bytes: [], end: false };
      if (body.length > 0) waiting.bytes.push(body);
      waiting.end ||= end;
      early.set(first, waiting);
      return;
    }
    const type = first & 0xffff;
    if (type === 1) opened(body.readUInt32BE(0), headers(body.subarray(10)));
    if (type === 3) pods.get(body.readUInt32BE(0))?.destroy();
    // Our own pings have even ids; kubectl pings with odd ones.
    if (type === 6 && body.readUInt32BE(0) % 2 === 1) socket.write(Buffer.concat([head, body]));
  };
  socket.on('data', (more: Buffer) => {
    rest = Buffer.concat([rest, more]);
    while (rest.length >= 8) {
      const length = rest.readUIntBE(5, 3);
      if (rest.length < 8 + length) break;
      const head = rest.subarray(0, 8);
      const body = rest.subarray(8, 8 + length);
      rest = rest.subarray(8 + length);
      chain = chain.then(() => frame(head, body));
    }
    if (rest.length > 1 << 20) socket.pause();
    chain.then(
      () => socket.resume(),
      () => socket.destroy(),
    );
  });
}

/** Reads header blocks one after another: one zlib stream over all of them, read from its beginning each time. */
function createHeaderReader(): (block: Buffer) => ReadonlyMap<string, string> {
  let packed: Buffer = Buffer.alloc(0);
  let seen = 0;
  return (block) => {
    packed = Buffer.concat([packed, block]);
    const all = inflateSync(packed, { finishFlush: constants.Z_SYNC_FLUSH, dictionary: dictionary() });
    const bytes = all.subarray(seen);
    seen = all.length;
    const found = new Map<string, string>();
    let at = 4;
    const text = (): string => {
      const length = bytes.readUInt32BE(at);
      const value = bytes.subarray(at + 4, at + 4 + length).toString('utf8');
      at += 4 + length;
      return value;
    };
    for (let left = bytes.readUInt32BE(0); left > 0; left -= 1) found.set(text(), text());
    return found;
  };
}

/** SPDY/3's dictionary (draft-mbelshe-httpbis-spdy-00, 2.6.10.1): words, each behind its length, and a tail of text. */
function dictionary(): Buffer {
  const words =
    'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
    'authorization cache-control connection content-base content-encoding content-language content-length ' +
    'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
    'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
    'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
    'user-agent vary via warning www-authenticate method get status';
  const tail =
    '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
    '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden' +
    '404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug ' +
    'Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,' +
    'application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,' +
    'sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';
  const framed = (word: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(word.length, 0);
    return Buffer.concat([length, Buffer.from(word, 'latin1')]);
  };
  return Buffer.concat([
    ...words.split(' ').map(framed),
    framed('200 OK'),
    ...['version', 'HTTP/1.1', 'url', 'public', 'set-cookie', 'keep-alive', 'origin'].map(framed),
    Buffer.from(tail, 'latin1'),
  ]);
}
