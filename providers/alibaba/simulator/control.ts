/**
 * Control over HTTP: `/_sluice/…` on the simulator's port. JSON in and out.
 *
 * | request | does |
 * |---|---|
 * | GET dump | the whole account |
 * | GET calls?since=SEQ | the record of calls, with counts by operation |
 * | DELETE calls | forgets the record |
 * | GET, POST, DELETE faults[/ID] | lists, orders, takes back faults |
 * | GET, PATCH settings | reads, changes settings |
 * | POST health | `{selector, health}`: how members answer, `normal` or `abnormal` |
 * | POST servers | `{id, server}`: a server and its state; `null` makes it unknown |
 * | POST load-balancer-status | `{id, status}`: `active`, `inactive` or `locked` |
 * | POST call | `{operation, input}`: done by hand, without faults; answers `{output}` or `{error}` |
 * | POST reset | an empty account again |
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Account } from './account.ts';
import {
  object,
  readFaultOrder,
  readHealth,
  readSelector,
  readServer,
  readSettings,
  readStatus,
  text,
} from './control-input.ts';
import { CloudError } from './errors.ts';

const PREFIX = '/_sluice/';

export function isControl(url: string): boolean {
  return url.startsWith(PREFIX);
}

/** Answers a control request: 200 with JSON, or 4xx with `{error}`. */
export function handleControl(
  account: Account,
  request: IncomingMessage,
  response: ServerResponse,
  body: string | undefined,
): void {
  try {
    const url = new URL(request.url ?? '/', 'http://simulator');
    const [resource = '', id] = url.pathname.slice(PREFIX.length).split('/');
    const run = routes[`${request.method} ${resource}`];
    if (run === undefined) {
      send(response, 404, { error: `there is no ${request.method} ${url.pathname}` });
      return;
    }
    // A web page cannot send this content type without asking first, so it cannot drive the simulator.
    if (body !== '' && !(request.headers['content-type'] ?? '').startsWith('application/json')) {
      send(response, 415, { error: 'the body must be sent as application/json' });
      return;
    }
    send(response, 200, run(account, { id, query: url.searchParams, body: readJson(body) }) ?? {});
  } catch (error) {
    if (error instanceof CloudError || error instanceof SyntaxError) {
      send(response, 400, { error: error.message });
      return;
    }
    throw error;
  }
}

interface ControlRequest {
  readonly id: string | undefined;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

type Route = (account: Account, request: ControlRequest) => unknown;

const routes: Readonly<Record<string, Route>> = {
  'GET dump': (account) => account.dump(),
  'GET calls': (account, { query }) => ({
    calls: account.calls(Number(query.get('since') ?? 0)),
    counts: account.counts(),
  }),
  'DELETE calls': (account) => account.forgetCalls(),
  'GET faults': (account) => ({ faults: account.faults.list() }),
  'POST faults': (account, { body }) => ({ id: account.faults.order(readFaultOrder(body)) }),
  'DELETE faults': (account, { id }) => ({ cleared: account.faults.clear(id) }),
  'GET settings': (account) => account.settings,
  'PATCH settings': (account, { body }) => {
    account.configure(readSettings(body));
    return account.settings;
  },
  'POST health': (account, { body }) => {
    const given = object(body, 'the body');
    account.setHealth(readSelector(given['selector']), readHealth(given['health']));
  },
  'POST servers': (account, { body }) => {
    const given = object(body, 'the body');
    account.setServer(text(given, 'id'), readServer(given['server'] ?? null));
  },
  'POST load-balancer-status': (account, { body }) => {
    const given = object(body, 'the body');
    account.setLoadBalancerStatus(text(given, 'id'), readStatus(given['status']));
  },
  'POST call': (account, { body }) => {
    const given = object(body, 'the body');
    try {
      return { output: account.byHand(text(given, 'operation'), object(given['input'] ?? {}, 'input')) };
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      return { error: { code: error.code, message: error.message, httpStatus: error.httpStatus } };
    }
  },
  'POST reset': (account) => account.reset(),
};

function readJson(body: string | undefined): unknown {
  return body === undefined || body === '' ? {} : JSON.parse(body);
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value, null, 2)}\n`);
}
