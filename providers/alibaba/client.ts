/**
 * The door to Alibaba Cloud over the wire: the only file that loads its packages, so that it can be a chunk of
 * its own.
 *
 * The package signs (ACS3-HMAC-SHA256) and sends; all else is ours. Its errors hold URLs, its time-outs and its
 * unreadable answers look like anything else, it can neither be aborted nor be trusted to fetch credentials
 * (see `credentials/session.ts`). Retries are off here: `door.ts` does them once for every kind of client.
 *
 * Invariant: what is thrown is a `CallFailure` made of single fields, or the `SluiceError` of the credentials.
 */
import type CredentialModule from '@alicloud/credentials';
import * as credentials from '@alicloud/credentials';
import type CoreModule from '@alicloud/openapi-core';
import * as core from '@alicloud/openapi-core';
import { isSluiceError } from '../../src/core/errors.ts';
import { readAnswer } from './answer.ts';
import type { CredentialSession } from './credentials/session.ts';
import { endpointOf } from './endpoints.ts';
import type { Network } from './endpoints.ts';
import { isStaleCredential } from './error-codes.ts';
import { CallFailure } from './failure.ts';
import { operations } from './operations.ts';
import type { OperationFacts, SlbClient, SlbOperation } from './operations.ts';
import { failureOf } from './sdk-errors.ts';

const { $OpenApiUtil, OpenApiUtil } = core;
const Sdk = defaultOf(core) as typeof CoreModule.default;
type Sdk = InstanceType<typeof Sdk>;
const SdkCredential = defaultOf(credentials) as typeof CredentialModule.default;
/** Nothing beyond what the client is made with. */
const runtime = {} as Parameters<Sdk['callApi']>[2];

export interface WireClientOptions {
  readonly region: string;
  readonly session: CredentialSession;
  /** Which of the region's end points. Default `public`. */
  readonly network?: Network | undefined;
  /** A URL instead of the region's own end points: a simulated account, a private end point. */
  readonly endpoint?: string | undefined;
  /** The same for the VPC API; default: `endpoint`. */
  readonly vpcEndpoint?: string | undefined;
  /** Milliseconds after which a call without an answer is given up. Default 20 s. */
  readonly answerMs?: number | undefined;
}

type Product = OperationFacts['product'];

const answerMs = 20_000;
const versions: Readonly<Record<Product, string>> = { slb: '2014-05-15', vpc: '2016-04-28' };
/** Parameters that travel as one JSON text. In the body, since a full batch is too long for a URL. */
const jsonParameters: ReadonlySet<string> = new Set([
  'BackendServers',
  'OldBackendServers',
  'NewBackendServers',
  'Tags',
]);

/** A signed client behind the seam. `close` stops nothing but renewals: idle connections end by themselves. */
export function createWireClient(options: WireClientOptions): SlbClient & { close(): void } {
  const { session } = options;
  const clients: Readonly<Record<Product, Sdk>> = {
    slb: createSdk(options, 'slb'),
    vpc: createSdk(options, 'vpc'),
  };

  return {
    async call(operation, input, signal) {
      const used = await session.get(signal);
      try {
        return await send(operation, input, signal);
      } catch (failure) {
        const stale = failure instanceof CallFailure && isStaleCredential(failure.code);
        // A token that ended while it was on its way: nothing was done, and a new one may be accepted.
        if (!stale || !session.renewable || signal?.aborted === true) throw failure;
        session.drop(used);
        await session.get(signal);
        return send(operation, input, signal);
      }
    },
    close: () => session.close(),
  };

  function send(operation: SlbOperation, input: object, signal: AbortSignal | undefined): Promise<object> {
    const { product } = operations[operation];
    const { query, body } = encode({ ...input, RegionId: options.region });
    const parameters = new $OpenApiUtil.Params({
      action: operation,
      version: versions[product],
      protocol: 'HTTPS',
      pathname: '/',
      method: 'POST',
      authType: 'AK',
      style: 'RPC',
      reqBodyType: 'formData',
      // Text, because the package's own reading of JSON loses digits of ids.
      bodyType: 'string',
    });
    const request = new $OpenApiUtil.OpenApiRequest({ query, ...(body === undefined ? {} : { body }) });
    const sent = clients[product].callApi(parameters, request, runtime).then(
      (answer) => readAnswer(String(answer['body']), Number(answer['statusCode'])),
      (thrown: unknown) => {
        throw isSluiceError(thrown) ? thrown : failureOf(thrown);
      },
    );
    return orAborted(sent, signal);
  }
}

function createSdk(options: WireClientOptions, product: Product): Sdk {
  const { region, network = 'public', session } = options;
  const given = product === 'vpc' ? (options.vpcEndpoint ?? options.endpoint) : options.endpoint;
  const url = new URL(given ?? `https://${endpointOf(product, region, network)}`);
  return new Sdk(
    new $OpenApiUtil.Config({
      credential: new SdkCredential(null, {
        getProviderName: () => session.name,
        getCredentials: async () => ({ ...(await session.get()), providerName: session.name }),
      }),
      endpoint: url.host,
      protocol: url.protocol.replace(':', ''),
      regionId: region,
      userAgent: 'sluice',
      // The package counts both from the start of the call; the one that it calls "connect" runs until the first byte.
      connectTimeout: options.answerMs ?? answerMs,
      readTimeout: options.answerMs ?? answerMs,
    }),
  );
}

/** The class that a CommonJS package means by its default: one step in or two, by who loads it (Node, a bundler, a test runner). */
function defaultOf(module: { readonly default: unknown }): unknown {
  const found = module.default;
  return typeof found === 'function' ? found : (found as { readonly default: unknown }).default;
}

/** Flat text parameters: `Tag.1.Key`, `true`, JSON. What is undefined is not sent. */
export function encode(input: object): {
  readonly query: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, string>> | undefined;
} {
  const plain: Record<string, unknown> = {};
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(input)) {
    if (value === undefined) continue;
    if (jsonParameters.has(name)) texts[name] = JSON.stringify(value);
    else plain[name] = value;
  }
  return {
    query: OpenApiUtil.query(plain),
    body: Object.keys(texts).length === 0 ? undefined : texts,
  };
}

/** The package cannot be stopped: whoever gives up stops waiting, and what becomes of the call stays open. */
function orAborted<T>(sent: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return sent;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new CallFailure('aborted', 'given up', { code: 'Aborted' }));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    sent.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
