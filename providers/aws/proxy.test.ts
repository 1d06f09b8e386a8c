/** Which proxy the environment asks for. That it is used is shown over the wire (test/wire/proxy.test.ts). */
import { expect, test } from 'vitest';
import { proxyFrom, type ProxyEnvironment } from './proxy.ts';

test.each<[string, Record<string, string>, ProxyEnvironment | undefined]>([
  ['none', {}, undefined],
  ['an empty one is none', { HTTPS_PROXY: '', https_proxy: '' }, undefined],
  ['a URL', { HTTPS_PROXY: 'http://proxy:3128' }, { HTTPS_PROXY: 'http://proxy:3128' }],
  ['one that is reached by TLS', { HTTPS_PROXY: 'https://proxy' }, { HTTPS_PROXY: 'https://proxy' }],
  ['a host and a port', { HTTPS_PROXY: 'proxy:3128' }, { HTTPS_PROXY: 'http://proxy:3128' }],
  ['lower case wins', { HTTPS_PROXY: 'http://a', https_proxy: 'http://b' }, { HTTPS_PROXY: 'http://b' }],
  [
    'with exceptions',
    { HTTPS_PROXY: 'http://proxy', NO_PROXY: '.example.com,10.0.0.1' },
    { HTTPS_PROXY: 'http://proxy', NO_PROXY: '.example.com,10.0.0.1' },
  ],
  ['exceptions alone', { NO_PROXY: '*' }, undefined],
  ['one for plain HTTP does not count', { HTTP_PROXY: 'http://proxy' }, undefined],
])('%s', (_, env, expected) => {
  expect(proxyFrom(env)).toEqual(expected);
});

test.each(['socks5://user:secret@proxy:1080', 'http://user:secret@', 'two words'])(
  '%s is refused, by the name of the variable and without a password',
  (value) => {
    expect(() => proxyFrom({ https_proxy: value })).toThrow(
      /^environment variable https_proxy does not name an HTTP proxy; write http:\/\/HOST:PORT, or unset it$/u,
    );
  },
);
