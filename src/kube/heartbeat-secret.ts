/** The Secret by which agents know each other's heartbeats: made once by the controller, read by the agents. */
import { randomBytes } from 'node:crypto';
import { isSluiceError } from '../core/errors.ts';
import type { Api } from './api.ts';
import { fieldManager } from './api.ts';

export const heartbeatSecret = 'sluice-heartbeat';
/** Bytes of the key: as long as what HMAC-SHA-256 gives. */
const keyBytes = 32;

/** Makes the Secret where there is none; one that is there stays as it is. */
export async function ensureHeartbeatSecret(api: Api, namespace: string, signal: AbortSignal): Promise<void> {
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  try {
    await api.request('GET', `${collection}/${heartbeatSecret}`, { signal });
    return;
  } catch (error) {
    if (!isSluiceError(error) || error.kind !== 'gone') throw error;
  }
  try {
    await api.request('POST', collection, {
      query: { fieldManager },
      body: {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: heartbeatSecret, labels: { 'app.kubernetes.io/name': 'sluice' } },
        type: 'sluice.dev/heartbeat',
        data: { key: randomBytes(keyBytes).toString('base64') },
      },
      signal,
    });
  } catch (error) {
    // Another replica was faster.
    if (!isSluiceError(error) || error.kind !== 'conflict') throw error;
  }
}
