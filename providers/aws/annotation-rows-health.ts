/**
 * Rows of the annotation table about health checks. Ranges: API reference, CreateTargetGroup.
 */
import { readInteger, readWord, served } from './annotation-row.ts';
import type { Reading, Row } from './annotation-row.ts';
import type { HealthCheck } from './observed.ts';

function check(
  key: string,
  values: string,
  fallback: string,
  means: string,
  read: (reading: Reading) => Partial<HealthCheck> | undefined,
): Row {
  return served(`healthcheck-${key}`, { values, fallback, means }, (reading) => {
    reading.draft.healthCheck = { ...reading.draft.healthCheck, ...read(reading) };
  });
}

function checkNumber(
  key: string,
  field: 'intervalSeconds' | 'timeoutSeconds' | 'healthyThreshold' | 'unhealthyThreshold',
  [min, max]: readonly [number, number],
  fallback: string,
  means: string,
): Row {
  return check(key, `${min} to ${max}`, fallback, means, (reading) => {
    const value = readInteger(reading, min, max);
    return value === undefined ? undefined : { [field]: value };
  });
}

export const healthCheckRows: readonly Row[] = [
  check(
    'protocol',
    '`tcp`, `http`, `https`',
    '`http` under policy Local and for UDP alone, else `tcp`',
    'How targets are checked.',
    (reading) => {
      const protocol = readWord(reading, ['TCP', 'HTTP', 'HTTPS']);
      return protocol === undefined ? undefined : { protocol };
    },
  ),
  check(
    'port',
    '`traffic-port`, a number, or the name of a port of the Service',
    'the health-check node port under policy Local, 10256 for UDP alone, else `traffic-port`',
    'Port that is checked.',
    ({ text, refuse }) => {
      const number = /^\d+$/.test(text);
      if (number ? Number(text) >= 1 && Number(text) <= 65535 && text.length <= 5 : text !== '') {
        return { port: text };
      }
      refuse(
        `"${text}" is not a port`,
        'write traffic-port, a number from 1 to 65535, or the name of a port',
      );
      return undefined;
    },
  ),
  check(
    'path',
    'a path',
    '`/healthz` under policy Local, else `/`',
    'What an HTTP check asks for.',
    (reading) => {
      if (/^\/[!-~]{0,1023}$/.test(reading.text)) return { path: reading.text };
      reading.refuse(`"${reading.text}" is not a path`, 'write a path that begins with "/"');
      return undefined;
    },
  ),
  check(
    'success-codes',
    'codes and ranges, such as `200,204` or `200-299`',
    '`200` under policy Local, else `200-399`',
    'HTTP codes that count as healthy.',
    ({ text, refuse }) => {
      const codes = text.replaceAll(/\s/g, '');
      if (/^[2-5]\d\d(-[2-5]\d\d)?(,[2-5]\d\d(-[2-5]\d\d)?)*$/.test(codes)) return { matcher: codes };
      refuse(`"${text}" is not a list of HTTP codes`, 'write codes from 200 to 599, such as 200-399');
      return undefined;
    },
  ),
  checkNumber('interval', 'intervalSeconds', [5, 300], '10', 'Seconds between two checks of a target.'),
  checkNumber(
    'timeout',
    'timeoutSeconds',
    [2, 120],
    '6 under policy Local, else 10',
    'Seconds until a check without an answer fails.',
  ),
  checkNumber(
    'healthy-threshold',
    'healthyThreshold',
    [2, 10],
    '2 under policy Local, else 3',
    'Checks passed until a target is healthy.',
  ),
  checkNumber(
    'unhealthy-threshold',
    'unhealthyThreshold',
    [2, 10],
    '2 under policy Local, else 3',
    'Checks failed until a target is unhealthy.',
  ),
];
