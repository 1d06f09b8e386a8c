/** A merge patch on an object of the sandbox. */
import type { Api } from '../../kube/api.ts';
import { patchContentType } from '../../kube/api.ts';
import { pathOf, type Manifest } from '../objects.ts';

export async function merge(api: Api, object: Manifest, patch: object): Promise<void> {
  await api.request('PATCH', pathOf(object), {
    body: patch,
    contentType: patchContentType.merge,
    query: { fieldManager: 'demo' },
  });
}
