/**
 * Rows of the annotation table about listeners.
 */
import { parseList } from '../../src/core/annotations.ts';
import { readBool, readIds, readWord, served } from './annotation-row.ts';
import type { Row } from './annotation-row.ts';

export const listenerRows: readonly Row[] = [
  served(
    'ssl-cert',
    {
      values: 'certificate ARNs',
      fallback: 'no TLS',
      means: 'Certificates: the first is the default one, the others are chosen by server name.',
    },
    (reading) => {
      const arns = readIds(reading, /^arn:[^\s:]+:(acm|iam):\S+$/, 'arn:aws:acm:eu-west-1:…:certificate/…');
      if (arns.length > 25) reading.refuse('a balancer can have 25 certificates', 'name fewer');
      else reading.draft.certificates = arns;
    },
  ),
  served(
    'ssl-ports',
    {
      values: 'names or numbers of ports, or `*`',
      fallback: 'every TCP port',
      means: 'Ports on which TLS is spoken; needs `ssl-cert`.',
    },
    ({ text, draft }) => {
      draft.tlsPorts = parseList(text);
    },
  ),
  served(
    'ssl-negotiation-policy',
    {
      values: 'name of a policy',
      fallback: '`ELBSecurityPolicy-TLS13-1-2-2021-06`',
      means: 'Security policy of TLS listeners.',
    },
    ({ text, draft, refuse }) => {
      if (/^[A-Za-z0-9-]{1,255}$/.test(text)) draft.sslPolicy = text;
      else
        refuse(
          `"${text}" is not the name of a policy`,
          'use one such as ELBSecurityPolicy-TLS13-1-2-2021-06',
        );
    },
  ),
  served(
    'alpn-policy',
    {
      values: '`None`, `HTTP1Only`, `HTTP2Only`, `HTTP2Optional`, `HTTP2Preferred`',
      fallback: '`None`',
      means: 'What TLS listeners negotiate (ALPN).',
    },
    (reading) => {
      const word = readWord(reading, ['None', 'HTTP1Only', 'HTTP2Only', 'HTTP2Optional', 'HTTP2Preferred']);
      reading.draft.alpn = word === undefined || word === 'None' ? '' : word;
    },
  ),
  served(
    'backend-protocol',
    {
      values: '`tcp`, `ssl`',
      fallback: '`tcp`',
      means: 'With `ssl`, TLS listeners speak TLS to the targets as well.',
    },
    (reading) => {
      reading.draft.encryptToTargets = readWord(reading, ['tcp', 'ssl']) === 'ssl';
    },
  ),
  served(
    'enable-tcp-udp-listener',
    {
      values: 'boolean',
      fallback: '`true`',
      means: 'Lets TCP and UDP on one port share a listener.',
      note: 'Needs one node port for both; `false` refuses such Services.',
    },
    (reading) => {
      reading.draft.mergeTcpUdp = readBool(reading) ?? true;
    },
  ),
];
