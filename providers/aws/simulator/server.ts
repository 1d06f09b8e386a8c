/**
 * The account served over HTTP in the AWS Query protocol, so that any SDK, in any language, can talk to it
 * with nothing but an endpoint override; and beside it, under `/_sluice/`, what other processes need to
 * order faults, change the world and read what happened (control.ts).
 *
 * Meant for loopback: there is no TLS, and whoever reaches the control endpoints owns the account.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, systemClock, type Clock } from '../../../src/core/clock.ts';
import type { Account } from './account.ts';
import { handleControl, isControl } from './control.ts';
import { CloudError, validation } from './errors.ts';
import type { Outcome } from './outcome.ts';
import { apiVersion, operationSchemas } from './schema/model.ts';
import { readQuery } from './schema/query.ts';
import { writeAnswer, writeError } from './schema/xml.ts';
import { checkSignature } from './signature.ts';

const LARGEST_BODY = 1024 * 1024;

export interface ServerOptions {
  readonly account: Account;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Access key id to secret; given, signatures are verified. Absent: they must only be well formed. */
  readonly secrets?: ReadonlyMap<string, string>;
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
  let requests = 0;
  const nextRequestId = (): string => {
    requests += 1;
    return `00000000-0000-4000-8000-${String(requests).padStart(12, '0')}`;
  };
  const server = createServer((request, response) => {
    serve(options, nextRequestId, request, response).catch((error: unknown) => {
      // A defect of the simulator must be seen by whoever called, not only by who started it.
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (!response.headersSent)
        answer(response, 500, writeError('InternalFailure', text, 500, 'none'), 'none');
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

async function serve(
  options: ServerOptions,
  nextRequestId: () => string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  if (isControl(request.url ?? '/')) {
    handleControl(options.account, request, response, body);
    return;
  }
  const requestId = nextRequestId();
  const operation = { name: '' };
  const outcome = await perform(options, request, body, operation);
  if (response.destroyed) return;
  switch (outcome.kind) {
    case 'answer': {
      const schema = operationSchemas.get(operation.name);
      if (schema === undefined) throw new Error(`answer of ${operation.name}, which is no operation`);
      answer(response, 200, writeAnswer(schema, outcome.output, requestId), requestId);
      return;
    }
    case 'refusal': {
      const { code, message, httpStatus } = outcome.error;
      answer(response, httpStatus, writeError(code, message, httpStatus, requestId), requestId);
      return;
    }
    case 'lost':
      request.socket.destroy();
      return;
    case 'hang':
      // Left open until the caller gives up or the server closes.
      return;
  }
}

async function perform(
  options: ServerOptions,
  request: IncomingMessage,
  body: string | undefined,
  operation: { name: string },
): Promise<Outcome> {
  const { account } = options;
  const clock = options.clock ?? systemClock;
  try {
    if (body === undefined) throw new CloudError('RequestEntityTooLarge', 'The request is too large', 413);
    if (request.method !== 'POST') throw new CloudError('InvalidAction', 'Requests must be sent with POST');
    const url = request.url ?? '/';
    const signed = { method: request.method, url, headers: request.headers, body };
    const rules = { region: account.settings.region, secrets: options.secrets, now: clock.wall() };
    const by = checkSignature(signed, rules);
    const form = new URLSearchParams(body);
    const version = form.get('Version');
    operation.name = form.get('Action') ?? '';
    const schema = operationSchemas.get(operation.name);
    if (schema === undefined || version !== apiVersion) {
      throw new CloudError(
        'InvalidAction',
        `Could not find operation ${operation.name} for version ${version}`,
      );
    }
    const pending = account.open(operation.name, readInput(schema.input, form), by);
    if (pending.delayBeforeMs > 0) await sleep(clock, pending.delayBeforeMs);
    const outcome = pending.run();
    if (pending.delayAfterMs > 0) await sleep(clock, pending.delayAfterMs);
    return outcome;
  } catch (error) {
    if (error instanceof CloudError) return { kind: 'refusal', error };
    throw error;
  }
}

function readInput(shape: Parameters<typeof readQuery>[0], form: URLSearchParams): object {
  const names = [...form.keys()];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw validation(`Parameter '${twice}' appears twice`);
  return readQuery(shape, form);
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

function answer(response: ServerResponse, status: number, xml: string, requestId: string): void {
  response.writeHead(status, { 'content-type': 'text/xml', 'x-amzn-requestid': requestId });
  response.end(xml);
}
