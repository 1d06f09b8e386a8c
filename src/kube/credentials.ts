/**
 * Headers and TLS material for each request, fresh enough to survive rotation.
 *
 * Certificates, tokens and token files are handled here; exec plugins and auth providers by client-node,
 * loaded only then. Files are read again at most once a minute, as client-go does, or at once after the
 * server refused us. Nothing of this is ever logged.
 */
import { readFile } from 'node:fs/promises';

import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { Access, Material } from './kubeconfig.ts';

export interface TlsMaterial {
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | string | undefined;
  readonly key: Buffer | string | undefined;
}

export interface Identity {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

export interface Credentials {
  /** Errors: `denied`, code `Credentials`, naming the file or the plugin. */
  current(): Promise<Identity>;
  /** The server said 401: forget what was read. */
  refused(): void;
}

const rereadMs = 60_000;

export function credentialsFor(access: Access, clock: Clock): Credentials {
  const base = fileCredentials(access, clock);
  return access.user.plugin === undefined ? base : pluginCredentials(access, base);
}

function fileCredentials(access: Access, clock: Clock): Credentials {
  let held: { readonly at: number; readonly identity: Promise<Identity> } | undefined;
  let lastGood: Identity | undefined;

  const read = async (): Promise<Identity> => {
    const [ca, cert, key] = await Promise.all([
      load(access.ca, 'certificate-authority', access),
      load(access.user.cert, 'client-certificate', access),
      load(access.user.key, 'client-key', access),
    ]);
    const headers: Record<string, string> = {};
    const { basic, impersonate, token, tokenFile } = access.user;
    if (basic !== undefined) {
      const pair = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
      headers['authorization'] = `Basic ${pair}`;
    }
    // As in client-go, the file takes precedence over the literal token.
    if (tokenFile !== undefined) {
      const bytes = await load({ kind: 'file', path: tokenFile }, 'token file', access);
      headers['authorization'] = `Bearer ${bytes?.toString('utf8').trim() ?? ''}`;
    } else if (token !== undefined) {
      headers['authorization'] = `Bearer ${token}`;
    }
    if (impersonate !== undefined) headers['impersonate-user'] = impersonate;
    return { headers, tls: { ca, cert, key } };
  };

  return {
    current: async () => {
      if (held === undefined || clock.now() - held.at >= rereadMs)
        held = { at: clock.now(), identity: read() };
      try {
        lastGood = await held.identity;
      } catch (error) {
        held = undefined;
        // A file that is being replaced may be away for a moment: what we had is still good.
        if (lastGood === undefined) throw error;
      }
      return lastGood;
    },
    refused: () => {
      held = undefined;
    },
  };
}

async function load(from: Material | undefined, field: string, access: Access): Promise<Buffer | undefined> {
  if (from === undefined) return undefined;
  if (from.kind === 'data') return from.bytes;
  try {
    return await readFile(from.path);
  } catch (cause) {
    throw new SluiceError(
      'denied',
      `${access.source}: the ${field} ${from.path} cannot be read; check that it exists and who may read it`,
      { code: 'Credentials', cause },
    );
  }
}

/** Exec plugins, OIDC and the cloud auth providers, by client-node. */
function pluginCredentials(access: Access, base: Credentials): Credentials {
  let config: Promise<{ applyToHTTPSOptions(options: object): Promise<void> }> | undefined;

  const loadConfig = async () => {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const loaded = new KubeConfig();
    // JSON is YAML: the package's own reader turns the raw user entry into its form.
    loaded.loadFromString(
      JSON.stringify({
        'current-context': 'only',
        contexts: [{ name: 'only', context: { cluster: 'only', user: access.user.name } }],
        clusters: [{ name: 'only', cluster: { server: access.server, 'insecure-skip-tls-verify': true } }],
        users: [{ name: access.user.name, user: access.user.plugin }],
      }),
    );
    return loaded;
  };

  return {
    current: async () => {
      const known = await base.current();
      config ??= loadConfig();
      const options: {
        headers?: Record<string, string>;
        cert?: Buffer | string;
        key?: Buffer | string;
      } = {};
      try {
        await (await config).applyToHTTPSOptions(options);
      } catch (cause) {
        const said = cause instanceof Error ? cause.message.trim() : String(cause);
        throw new SluiceError(
          'denied',
          `${access.source}: the credential plugin of user "${access.user.name}" failed: ${said}; run it by hand to see why`,
          { code: 'Credentials', cause },
        );
      }
      return {
        headers: { ...known.headers, ...lowerCased(options.headers ?? {}) },
        tls: {
          ca: known.tls.ca,
          cert: options.cert ?? known.tls.cert,
          key: options.key ?? known.tls.key,
        },
      };
    },
    refused: () => {
      base.refused();
      // A new object runs the plugin again: its cache has no other way to be emptied.
      config = undefined;
    },
  };
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
