/**
 * The account served over HTTP in Alibaba Cloud's RPC form, so that any SDK, in any language, can talk to it
 * with nothing but an endpoint override; and beside it, under `/_sluice/`, what other processes need to order
 * faults, change the world and read what happened (control.ts).
 *
 * Meant for loopback: there is no TLS, and whoever reaches the control endpoints owns the account.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, systemClock } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { operations, ramAction, isSlbOperation } from '../operations.ts';
import type { Account } from './account.ts';
import { readInput } from './check.ts';
import { handleControl, isControl } from './control.ts';
import { CloudError, missing } from './errors.ts';
import type { Outcome } from './outcome.ts';
import { checkSignature } from './signature.ts';
import type { Secret } from './signature.ts';

const LARGEST_BODY = 1024 * 1024;
/** Nonces that are remembered. */
const NONCES = 10_000;
const versions = { slb: '2014-05-15', vpc: '2016-04-28' } as const;

export interface ServerOptions {
  readonly account: Account;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** By access key id; given, signatures are verified. Absent: they must only be well formed. May change. */
  readonly secrets?: ReadonlyMap<string, Secret>;
  /** What delays on the wire and signature dates go by. Default: the machine's clock. */
  readonly clock?: Clock;
}

export interface SimulatorServer {
  /** The endpoint to give to an SDK: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  /** Stops listening and cuts what is still open. */
  close(): Promise<void>;
}

/** Starts to listen; resolves when it does. Rejects with the system's error when the port is taken. */
export async function startServer(options: ServerOptions): Promise<SimulatorServer> {
  const host = options.host ?? '127.0.0.1';
  const nonces = new Set<string>();
  const isKnownNonce = (nonce: string): boolean => {
    const known = nonces.has(nonce);
    if (nonces.size >= NONCES) nonces.clear();
    nonces.add(nonce);
    return known;
  };
  const server = createServer((request, response) => {
    serve({ ...options, isKnownNonce }, request, response).catch((error: unknown) => {
      // A defect of the simulator must be seen by whoever called, not only by who started it.
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (!response.headersSent) send(response, 500, { Code: 'InternalError', Message: text });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}`,
    port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

interface Serving extends ServerOptions {
  readonly isKnownNonce: (nonce: string) => boolean;
}

async function serve(options: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (isControl(request.url ?? '/')) {
    handleControl(options.account, request, response, body);
    return;
  }
  const operation = String(request.headers['x-acs-action'] ?? '');
  const outcome = await perform(options, request, operation, body);
  if (response.destroyed) return;
  switch (outcome.kind) {
    case 'answer':
      send(response, 200, outcome.output);
      return;
    case 'refusal':
      refuse(response, outcome, operation, request.headers.host ?? '');
      return;
    case 'html':
      response.writeHead(outcome.status, { 'content-type': 'text/html' });
      response.end('<html><body><h1>Bad Gateway</h1></body></html>');
      return;
    case 'lost':
      request.socket.destroy();
      return;
    case 'hang':
      // Left open until the caller gives up or the server closes.
      return;
  }
}

async function perform(
  options: Serving,
  request: IncomingMessage,
  operation: string,
  body: string | undefined,
): Promise<Outcome> {
  const { account } = options;
  const clock = options.clock ?? systemClock;
  try {
    if (body === undefined) throw new CloudError('RequestTooLarge', 'The request is too large', 413);
    const url = request.url ?? '/';
    const by = checkSignature(
      { method: request.method ?? '', url, headers: request.headers, body },
      { secrets: options.secrets, now: clock.wall(), isKnownNonce: options.isKnownNonce },
    );
    requireVersion(operation, request.headers['x-acs-version']);
    const flat = flatten(url, body);
    if (!flat.has('RegionId')) throw missing('RegionId');
    const pending = account.open(operation, readInput(operation, flat), by);
    if (pending.delayBeforeMs > 0) await sleep(clock, pending.delayBeforeMs);
    const outcome = pending.run();
    if (pending.delayAfterMs > 0) await sleep(clock, pending.delayAfterMs);
    return outcome;
  } catch (error) {
    if (!(error instanceof CloudError)) throw error;
    return { kind: 'refusal', error, requestId: account.nextRequestId(), retryAfterMs: undefined };
  }
}

function requireVersion(operation: string, version: string | string[] | undefined): void {
  const known = isSlbOperation(operation) && versions[operations[operation].product] === version;
  if (!known) throw new CloudError('InvalidAction.NotFound', `Specified api ${operation} is not found`);
}

/** Query and form together. Throws for a parameter that comes twice. */
function flatten(url: string, body: string): ReadonlyMap<string, string> {
  const flat = new Map<string, string>();
  for (const source of [url.split('?')[1] ?? '', body]) {
    for (const [name, value] of new URLSearchParams(source)) {
      if (flat.has(name))
        throw new CloudError(`InvalidParameter.${name}`, `The parameter ${name} comes twice`);
      flat.set(name, value);
    }
  }
  return flat;
}

function refuse(
  response: ServerResponse,
  { error, requestId, retryAfterMs }: Extract<Outcome, { readonly kind: 'refusal' }>,
  operation: string,
  host: string,
): void {
  const denied = error.code === 'Forbidden.RAM' && isSlbOperation(operation);
  send(
    response,
    error.httpStatus,
    {
      RequestId: requestId,
      HostId: host,
      Code: error.code,
      Message: error.message,
      ...(denied && { AccessDeniedDetail: { AuthAction: ramAction(operation) } }),
    },
    retryAfterMs,
  );
}

/** Undefined when the body is too large. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const buffer = part as Buffer;
    size += buffer.length;
    if (size <= LARGEST_BODY) parts.push(buffer);
  }
  return size > LARGEST_BODY ? undefined : Buffer.concat(parts).toString('utf8');
}

/** Order numbers go out as the 64-bit numbers that they are on the wire. */
function send(response: ServerResponse, status: number, value: object, retryAfterMs?: number): void {
  response.writeHead(status, {
    'content-type': 'application/json;charset=utf-8',
    ...(retryAfterMs !== undefined && { 'x-acs-retry-after': String(retryAfterMs) }),
  });
  response.end(JSON.stringify(value).replace(/"OrderId":"(\d+)"/, '"OrderId":$1'));
}
