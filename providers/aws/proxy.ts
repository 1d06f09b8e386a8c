/**
 * The proxy between us and AWS, from the environment, as most programs read it: `HTTPS_PROXY` and `NO_PROXY`, of
 * which the spelling in lower case wins.
 *
 * Node's own agent does the work. It takes a proxy only as a URL and leaves out what it cannot read without a
 * word, so the value is checked here. A proxy may hold a password: it is never repeated.
 */
import { SluiceError } from '../../src/core/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** In the form that `https.Agent` takes as `proxyEnv`. */
export type ProxyEnvironment = {
  readonly HTTPS_PROXY: string;
  readonly NO_PROXY?: string;
};

/**
 * @returns undefined where no proxy is asked for.
 * @throws SluiceError `invalid` for a value that names no HTTP proxy.
 */
export function proxyFrom(env: Environment): ProxyEnvironment | undefined {
  const [name, value] = named(env, 'HTTPS_PROXY');
  if (value === '') return undefined;
  // As curl has it, a host and a port are enough.
  const text = /^[a-z][a-z0-9+.-]*:\/\//iu.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new SluiceError(
      'invalid',
      `environment variable ${name} does not name an HTTP proxy; write http://HOST:PORT, or unset it`,
      { code: 'InvalidProxy' },
    );
  }
  const [, exceptions] = named(env, 'NO_PROXY');
  return { HTTPS_PROXY: text, ...(exceptions === '' ? {} : { NO_PROXY: exceptions }) };
}

/** The variable that counts, and its value; empty where neither is set. */
function named(env: Environment, name: string): readonly [name: string, value: string] {
  const lower = name.toLowerCase();
  const value = env[lower] ?? '';
  return value === '' ? [name, (env[name] ?? '').trim()] : [lower, value.trim()];
}
