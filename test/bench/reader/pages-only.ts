/** The same server, without streaming lists: what our reader costs on an older API server. */
import { SluiceError } from '../../../src/core/errors.ts';
import type { Api, StreamOptions } from '../../../src/kube/api.ts';

export function pagesOnly(api: Api): Api {
  return {
    server: api.server,
    request: (method, path, options) => api.request(method, path, options),
    stream: (path, options: StreamOptions) => {
      if (options.query?.['sendInitialEvents'] === undefined) return api.stream(path, options);
      throw new SluiceError('invalid', 'sendInitialEvents is forbidden', { code: 'Invalid' });
    },
  };
}
