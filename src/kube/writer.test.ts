/** The writer against scripted answers: what goes out, and what becomes of each refusal. */
import { describe, expect, test } from 'vitest';

import type { ServiceObject, Uid } from '../core/objects.ts';
import { SluiceError } from '../core/errors.ts';
import type { ErrorKind } from '../core/errors.ts';
import type { Api, Method, RequestOptions } from './api.ts';
import { makeIntern } from './intern.ts';
import type { RawService } from './raw.ts';
import { slimService } from './slim.ts';
import { Writer, readClusterId } from './writer.ts';

interface Call {
  readonly method: Method;
  readonly path: string;
  readonly body: unknown;
  readonly contentType: string | undefined;
  readonly manager: unknown;
}

/** Answers calls in order; an error in the list is thrown. */
function scripted(...answers: readonly (RawService | SluiceError)[]): {
  readonly api: Api;
  readonly calls: Call[];
} {
  const calls: Call[] = [];
  const left = [...answers];
  const request = async (method: Method, path: string, options: RequestOptions = {}): Promise<unknown> => {
    calls.push({
      method,
      path,
      body: options.body,
      contentType: options.contentType,
      manager: options.query?.['fieldManager'],
    });
    const answer = left.shift();
    if (answer === undefined) throw new Error(`no answer left for ${method} ${path}`);
    if (answer instanceof SluiceError) throw answer;
    return answer;
  };
  const stream = (): never => {
    throw new Error('no streams here');
  };
  return { api: { server: 'scripted', request, stream }, calls };
}

const finalizer = 'sluice.dev/balancer';
const path = '/api/v1/namespaces/shop/services/web';

function raw(
  version: string,
  more: Partial<NonNullable<RawService['metadata']>> = {},
  status: RawService['status'] = {},
): RawService {
  return {
    metadata: { namespace: 'shop', name: 'web', uid: 'u1', resourceVersion: version, ...more },
    spec: {},
    status,
  };
}

function slim(...from: Parameters<typeof raw>): ServiceObject {
  return slimService(raw(...from), makeIntern());
}

function refusal(kind: ErrorKind, code: string, message = code): SluiceError {
  return new SluiceError(kind, message, { code });
}

describe('addFinalizer', () => {
  test('adds ours to what is there, tied to the version, under our field manager', async () => {
    const { api, calls } = scripted(raw('6', { finalizers: ['other.dev/x', finalizer] }));
    const made = await new Writer(api).addFinalizer(slim('5', { finalizers: ['other.dev/x'] }), finalizer);

    expect(made.resourceVersion).toBe('6');
    expect(calls).toEqual([
      {
        method: 'PATCH',
        path,
        contentType: 'application/merge-patch+json',
        manager: 'sluice-controller',
        body: { metadata: { uid: 'u1', resourceVersion: '5', finalizers: ['other.dev/x', finalizer] } },
      },
    ]);
  });

  test('makes no call when it is there', async () => {
    const { api, calls } = scripted();
    const service = slim('5', { finalizers: [finalizer] });

    expect(await new Writer(api).addFinalizer(service, finalizer)).toBe(service);
    expect(calls).toEqual([]);
  });

  test('a conflict is answered with a live read, and a rival’s finalizer stays', async () => {
    const { api, calls } = scripted(
      refusal('conflict', 'Conflict'),
      raw('8', { finalizers: ['rival.dev/y'] }),
      raw('9', { finalizers: ['rival.dev/y', finalizer] }),
    );
    await new Writer(api).addFinalizer(slim('5'), finalizer);

    expect(calls.map((call) => call.method)).toEqual(['PATCH', 'GET', 'PATCH']);
    expect(calls[2]?.body).toEqual({
      metadata: { uid: 'u1', resourceVersion: '8', finalizers: ['rival.dev/y', finalizer] },
    });
  });

  test('a rival that never rests becomes the caller’s conflict after two rounds, then after one', async () => {
    const conflict = refusal('conflict', 'Conflict');
    const { api, calls } = scripted(conflict, raw('10'), conflict, raw('11'), conflict, raw('12'), raw('13'));
    const writer = new Writer(api);
    const add = async (): Promise<unknown> => await writer.addFinalizer(slim('5'), finalizer);

    await expect(add()).rejects.toMatchObject({ kind: 'conflict' });
    await expect(add()).rejects.toMatchObject({ kind: 'conflict' });
    await add();
    // From the second try on what the caller holds is known to be old.
    expect(calls.map(({ method }) => method)).toEqual([
      'PATCH',
      'GET',
      'PATCH',
      'GET',
      'PATCH',
      'GET',
      'PATCH',
    ]);
    expect(calls[6]?.body).toMatchObject({ metadata: { resourceVersion: '12' } });
  });

  test('a Service that is being deleted gets no finalizer', async () => {
    const { api, calls } = scripted();

    await expect(
      new Writer(api).addFinalizer(slim('5', { deletionTimestamp: '2026-01-01T00:00:00Z' }), finalizer),
    ).rejects.toMatchObject({ kind: 'conflict', code: 'Deleting' });
    expect(calls).toEqual([]);
  });

  test('another Service under the same name is never touched', async () => {
    const { api, calls } = scripted(refusal('conflict', 'Conflict'), raw('8', { uid: 'u2' }));

    await expect(new Writer(api).addFinalizer(slim('5'), finalizer)).rejects.toMatchObject({
      kind: 'gone',
      code: 'UidChanged',
    });
    expect(calls.map((call) => call.method)).toEqual(['PATCH', 'GET']);
  });

  test('annotations go along in the same patch, and alone without a lock when only they differ', async () => {
    const { api, calls } = scripted(raw('6', { finalizers: [finalizer] }), raw('7'));
    const writer = new Writer(api);
    const annotations = { 'sluice.dev/served-by': 'aws' };
    await writer.addFinalizer(slim('5'), finalizer, { annotations });
    await writer.addFinalizer(slim('6', { finalizers: [finalizer] }), finalizer, { annotations });

    expect(calls.map((call) => call.body)).toEqual([
      { metadata: { uid: 'u1', resourceVersion: '5', finalizers: [finalizer], annotations } },
      { metadata: { uid: 'u1', annotations } },
    ]);
  });
});

describe('removeFinalizer', () => {
  test('takes ours away and leaves the others', async () => {
    const { api, calls } = scripted(raw('6', { finalizers: ['other.dev/x'] }));
    const service = slim('5', { finalizers: [finalizer, 'other.dev/x'], annotations: { a: '1', b: '2' } });
    await new Writer(api).removeFinalizer(service, finalizer, { annotations: ['a', 'missing'] });

    expect(calls[0]?.body).toEqual({
      metadata: { uid: 'u1', resourceVersion: '5', finalizers: ['other.dev/x'], annotations: { a: null } },
    });
  });

  test.each<[string, SluiceError | RawService]>([
    ['is not there', refusal('gone', 'NotFound')],
    [
      'is another one by now',
      refusal('invalid', 'Invalid', 'metadata.uid: Invalid value: field is immutable'),
    ],
    ['goes with its last finalizer', raw('6', { deletionTimestamp: '2026-01-01T00:00:00Z' })],
  ])('a Service that %s is success', async (_what, answer) => {
    const { api } = scripted(answer);

    expect(
      await new Writer(api).removeFinalizer(slim('5', { finalizers: [finalizer] }), finalizer),
    ).toBeUndefined();
  });

  test('a copy from before it was added is not believed', async () => {
    const { api, calls } = scripted(raw('8', { finalizers: [finalizer] }), raw('9'));
    await new Writer(api).removeFinalizer(slim('5'), finalizer);

    expect(calls.map((call) => call.method)).toEqual(['GET', 'PATCH']);
    expect(calls[1]?.body).toMatchObject({ metadata: { resourceVersion: '8', finalizers: [] } });
  });

  test('a refusal is not success', async () => {
    const { api } = scripted(refusal('denied', 'Forbidden'));

    await expect(
      new Writer(api).removeFinalizer(slim('5', { finalizers: [finalizer] }), finalizer),
    ).rejects.toMatchObject({ kind: 'denied' });
  });
});

const condition = {
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message: 'all is well',
  lastTransitionTime: '2026-01-01T00:00:00Z',
} as const;

describe('patchStatus', () => {
  test('conditions alone merge by type, without a lock, on the status subresource', async () => {
    const { api, calls } = scripted(raw('6'));
    await new Writer(api).patchStatus(slim('5'), { conditions: [condition], dropConditions: ['Old'] });

    expect(calls).toEqual([
      {
        method: 'PATCH',
        path: `${path}/status`,
        contentType: 'application/strategic-merge-patch+json',
        manager: 'sluice-controller',
        body: {
          metadata: { uid: 'u1' },
          status: { conditions: [condition, { $patch: 'delete', type: 'Old' }] },
        },
      },
    ]);
  });

  test('addresses are tied to the version that they were decided on', async () => {
    const { api, calls } = scripted(raw('6'));
    await new Writer(api).patchStatus(slim('5'), { ingress: [{ hostname: 'a.example' }] });

    expect(calls[0]?.body).toEqual({
      metadata: { uid: 'u1', resourceVersion: '5' },
      status: { loadBalancer: { ingress: [{ hostname: 'a.example' }] } },
    });
  });

  test('a change elsewhere in the Service does not stop the addresses', async () => {
    const { api, calls } = scripted(
      refusal('conflict', 'Conflict'),
      raw('8', { labels: { team: 'a' } }),
      raw('9'),
    );
    await new Writer(api).patchStatus(slim('5'), { ingress: [{ hostname: 'a.example' }] });

    expect(calls[2]?.body).toMatchObject({ metadata: { resourceVersion: '8' } });
  });

  test('addresses that someone else wrote meanwhile are not overwritten', async () => {
    const rival = raw('8', {}, { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } });
    const { api, calls } = scripted(refusal('conflict', 'Conflict'), rival);

    await expect(
      new Writer(api).patchStatus(slim('5'), { ingress: [{ hostname: 'a.example' }] }),
    ).rejects.toMatchObject({ kind: 'conflict' });
    expect(calls.map((call) => call.method)).toEqual(['PATCH', 'GET']);
  });
});

test('annotations are set and taken away without touching the others', async () => {
  const { api, calls } = scripted(raw('6'));
  await new Writer(api).patchAnnotations(slim('5'), { a: '1', b: null });

  expect(calls[0]?.body).toEqual({ metadata: { uid: 'u1', annotations: { a: '1', b: null } } });
});

test('names with odd characters cannot leave their place in the path', async () => {
  const { api, calls } = scripted(raw('6'));
  await new Writer(api).getService('shop/../../nodes' as ServiceObject['key']);

  expect(calls[0]?.path).toBe('/api/v1/namespaces/shop/services/..%2F..%2Fnodes');
});

test('the cluster’s identity is the uid of kube-system', async () => {
  const { api, calls } = scripted({ metadata: { uid: 'cluster-uid' } });

  expect(await readClusterId(api)).toBe('cluster-uid' as Uid);
  expect(calls[0]?.path).toBe('/api/v1/namespaces/kube-system');
});
