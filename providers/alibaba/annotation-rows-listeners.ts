/** Rows of the annotation table about listeners and their health checks. */
import { readForm, readInteger, readPortPairs, readWord, served, setting } from './annotation-row.ts';
import type { Doc, Row } from './annotation-row.ts';
import { parseInteger, parseList } from '../../src/core/annotations.ts';

const protocols = ['tcp', 'udp', 'http', 'https'] as const;
const left = 'left as it is';

function number(word: string, name: string, min: number, max: number, fallback: string, means: string): Row {
  const doc: Doc = { values: `${min} to ${max}`, fallback, means };
  return setting(word, name, doc, (reading) => readInteger(reading, min, max));
}

function onOff(word: string, name: string, fallback: string, means: string): Row {
  return setting(word, name, { values: '`on`, `off`', fallback, means }, (reading) =>
    readWord(reading, ['on', 'off']),
  );
}

function words(word: string, name: string, all: readonly string[], fallback: string, means: string): Row {
  const doc: Doc = { values: all.map((one) => `\`${one}\``).join(', '), fallback, means };
  return setting(word, name, doc, (reading) => readWord(reading, all));
}

function form(word: string, name: string, pattern: RegExp, doc: Doc & { readonly example: string }): Row {
  const { example, ...rest } = doc;
  return setting(word, name, rest, (reading) => readForm(reading, pattern, example));
}

export const listenerRows: readonly Row[] = [
  served(
    'protocol-port',
    {
      values: '`https:443,http:80`',
      fallback: "the port's own protocol",
      means: 'Protocol of listeners, by service port.',
      note: 'A change makes the listener anew.',
    },
    (reading) => {
      reading.draft.protocols = readPortPairs(
        reading,
        false,
        (text: string) => protocols.find((one) => one === text),
        'https:443,http:80',
      );
    },
  ),
  served(
    'cert-id',
    { values: 'id of a server certificate', means: 'Certificate of https listeners, which need one.' },
    (reading) => {
      reading.draft.certificate = readForm(reading, /^[A-Za-z0-9_-]+$/, '1234567890_abcdef_cn-hangzhou');
    },
  ),
  served(
    'forward-port',
    {
      values: '`80:443`',
      means: 'Sends callers of an http port to an https port.',
      note: 'A change makes the listener anew.',
    },
    (reading) => {
      reading.draft.forwards = readPortPairs(
        reading,
        true,
        (text: string) => parseInteger(text, { min: 1, max: 65_535 }),
        '80:443',
      );
    },
  ),
  served(
    'domain-extensions',
    {
      values: '`a.example.com:cert-1,*.b.example.com:cert-2`',
      fallback: 'left as it is',
      means: 'Further certificates of https listeners, by domain (SNI).',
      note: 'Domains that are no longer named are taken off, if Sluice put them on. An account has room for 3 a listener unless it is raised.',
    },
    (reading) => {
      const domains: Record<string, string> = {};
      for (const piece of parseList(reading.text)) {
        const [, domain, id] =
          /^((?:\*\.)?(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}):([\w-]{1,128})$/iu.exec(piece) ?? [];
        if (domain === undefined || id === undefined)
          reading.refuse(`"${piece}" is not understood`, 'write pairs such as a.example.com:cert-1');
        else if (domains[domain] !== undefined)
          reading.refuse(`domain ${domain} is named twice`, 'remove one of them');
        else domains[domain] = id;
      }
      reading.draft.domains = domains;
      reading.draft.keys['DomainExtensions'] = reading.key;
    },
  ),
  words(
    'tls-cipher-policy',
    'TLSCipherPolicy',
    [
      'tls_cipher_policy_1_0',
      'tls_cipher_policy_1_1',
      'tls_cipher_policy_1_2',
      'tls_cipher_policy_1_2_strict',
      'tls_cipher_policy_1_2_strict_with_1_3',
    ],
    left,
    'TLS policy of https listeners.',
  ),
  onOff('http2-enabled', 'EnableHttp2', left, 'HTTP/2 on https listeners.'),
  words(
    'scheduler',
    'Scheduler',
    ['rr', 'wrr', 'wlc', 'sch', 'tch', 'qch'],
    '`rr`; `wrr` under policy Local and with weights',
    'How members are chosen; http and https know `rr` and `wrr`.',
  ),
  number(
    'persistence-timeout',
    'PersistenceTimeout',
    0,
    3_600,
    left,
    'Seconds for which a tcp client keeps its member.',
  ),
  number(
    'established-timeout',
    'EstablishedTimeout',
    10,
    900,
    left,
    'Seconds after which an idle tcp connection ends.',
  ),
  number('idle-timeout', 'IdleTimeout', 1, 60, left, 'Seconds after which an idle http connection ends.'),
  number('request-timeout', 'RequestTimeout', 1, 180, left, 'Seconds for an answer over http.'),
  onOff(
    'connection-drain',
    'ConnectionDrain',
    left,
    'Lets connections to a removed member of a tcp listener end.',
  ),
  number(
    'connection-drain-timeout',
    'ConnectionDrainTimeout',
    10,
    900,
    'needed with `connection-drain: on`',
    'Seconds for that.',
  ),
  setting(
    'proxy-protocol',
    'ProxyProtocolV2Enabled',
    {
      values: '`on`, `off`',
      fallback: left,
      means: "Passes the client's address on by PROXY protocol v2 (tcp, udp).",
    },
    (reading) => {
      const word = readWord(reading, ['on', 'off']);
      return word === undefined ? undefined : word === 'on';
    },
  ),
  onOff('sticky-session', 'StickySession', left, 'Keeps an http client on its member by a cookie.'),
  words(
    'sticky-session-type',
    'StickySessionType',
    ['insert', 'server'],
    'needed with `sticky-session: on`',
    'Whose cookie that is.',
  ),
  number(
    'cookie-timeout',
    'CookieTimeout',
    1,
    86_400,
    'needed with `insert`',
    'Seconds that the cookie lives.',
  ),
  form('cookie', 'Cookie', /^[A-Za-z0-9_.-]{1,200}$/, {
    values: '1 to 200 letters and digits',
    fallback: 'needed with `server`',
    means: 'Name of the cookie.',
    example: 'session',
  }),
  onOff('xforwardedfor-proto', 'XForwardedFor_proto', left, 'Header X-Forwarded-Proto.'),
  onOff('xforwardedfor-slbport', 'XForwardedFor_SLBPORT', left, 'Header X-Forwarded-Port.'),
  onOff(
    'xforwardedfor-clientsrcport',
    'XForwardedFor_ClientSrcPort',
    left,
    'Header X-Forwarded-Client-srcport.',
  ),
  onOff('acl-status', 'AclStatus', left, 'Whether access lists are looked at.'),
  setting(
    'acl-id',
    'AclId',
    { values: 'ids of access lists', fallback: 'needed with `acl-status: on`', means: 'Which lists.' },
    (reading) => {
      const ids = parseList(reading.text);
      if (ids.every((id) => /^acl-[A-Za-z0-9-]+$/.test(id))) return ids.join(',');
      reading.refuse(`"${reading.text}" is not a list of ids`, 'write ids such as acl-bp1a2b3c4d5e6');
      return undefined;
    },
  ),
  words(
    'acl-type',
    'AclType',
    ['white', 'black'],
    'needed with `acl-status: on`',
    'Whether the lists let in or keep out.',
  ),
];

export const healthCheckRows: readonly Row[] = [
  onOff('health-check-switch', 'HealthCheckSwitch', left, 'Health check of tcp and udp listeners.'),
  onOff(
    'health-check-flag',
    'HealthCheck',
    '`off`; `on` under policy Local',
    'Health check of http and https listeners.',
  ),
  words(
    'health-check-type',
    'HealthCheckType',
    ['tcp', 'http'],
    '`tcp`; `http` under policy Local',
    'What a tcp listener checks by.',
  ),
  form('health-check-uri', 'HealthCheckURI', /^\/[\w\-./?%#&=]{1,79}$/, {
    values: 'a path, not `/` alone',
    fallback: '`/healthz` under policy Local',
    means: 'Path of http checks.',
    example: '/healthz',
  }),
  setting(
    'health-check-connect-port',
    'HealthCheckConnectPort',
    {
      values: '1 to 65535, `-520` for the node port',
      fallback: 'the node port; the health-check node port under policy Local',
      means: 'Port that is checked.',
    },
    (reading) => (reading.text === '-520' ? undefined : readInteger(reading, 1, 65_535)),
  ),
  number('healthy-threshold', 'HealthyThreshold', 2, 10, left, 'Passed checks that make a member healthy.'),
  number(
    'unhealthy-threshold',
    'UnhealthyThreshold',
    2,
    10,
    left,
    'Failed checks that make a member unhealthy.',
  ),
  number('health-check-interval', 'HealthCheckInterval', 1, 50, left, 'Seconds between checks.'),
  number(
    'health-check-connect-timeout',
    'HealthCheckConnectTimeout',
    1,
    300,
    left,
    'Seconds for an answer to a check of tcp and udp listeners.',
  ),
  number(
    'health-check-timeout',
    'HealthCheckTimeout',
    1,
    300,
    left,
    'Seconds for an answer to a check of http and https listeners.',
  ),
  form('health-check-domain', 'HealthCheckDomain', /^(\$_ip|[\w.-]{1,80})$/, {
    values: '`$_ip` or a name',
    fallback: left,
    means: 'Host header of http checks.',
    example: 'shop.example.com',
  }),
  form('health-check-httpcode', 'HealthCheckHttpCode', /^http_[2-5]xx(,http_[2-5]xx)*$/, {
    values: '`http_2xx`, … `http_5xx`, with commas',
    fallback: left,
    means: 'Answers that count as healthy.',
    example: 'http_2xx,http_3xx',
  }),
  words(
    'health-check-method',
    'HealthCheckMethod',
    ['head', 'get'],
    left,
    'Method of checks of http and https listeners.',
  ),
];
