/**
 * Rows of the annotation table about target groups and their targets.
 */
import { parseList } from '../../src/core/annotations.ts';
import { readAttributes, readPairs, served } from './annotation-row.ts';
import type { Row } from './annotation-row.ts';
import { groupAttributes } from './attributes.ts';

export const targetRows: readonly Row[] = [
  served(
    'nlb-target-type',
    {
      values: '`instance`',
      fallback: '`instance`',
      means: 'What is registered: instances, on their node ports.',
      note: '`ip` is not served.',
    },
    ({ text, refuse }) => {
      if (text === 'ip') {
        refuse('targets of type "ip" are not served', 'use "instance"', 'UnsupportedAnnotation');
      } else if (text !== 'instance') refuse(`"${text}" is not a type of target`, 'use "instance"');
    },
  ),
  served(
    'target-node-labels',
    {
      values: '`label=value` pairs',
      fallback: 'all nodes',
      means: 'Only nodes with all of these labels are targets.',
    },
    (reading) => {
      reading.draft.nodeSelector = Object.fromEntries(readPairs(reading));
    },
  ),
  served(
    'target-group-attributes',
    {
      values: '`key=value` pairs',
      fallback: "AWS's defaults",
      means: 'Attributes of all target groups.',
      note: 'An attribute that is removed here goes back to its default.',
    },
    (reading) => {
      reading.draft.groupAttributes = readAttributes(reading, groupAttributes);
    },
  ),
  served(
    'target-group-attributes.*',
    {
      values: '`key=value` pairs',
      fallback: '',
      means: 'Attributes of the target group of one port of the Service, over those of all.',
    },
    (reading) => {
      const { rest, draft } = reading;
      if (!/^\d{1,5}$/.test(rest)) {
        reading.refuse(`"${rest}" is not the number of a port`, 'end the key with a port of the Service');
        return;
      }
      draft.groupAttributesByPort = {
        ...draft.groupAttributesByPort,
        [rest]: readAttributes(reading, groupAttributes),
      };
    },
  ),
  served(
    'proxy-protocol-per-target-group',
    { values: 'ports of the Service', fallback: 'none', means: 'Ports with proxy protocol v2.' },
    ({ text, draft, refuse }) => {
      const ports = parseList(text);
      for (const port of ports.filter((entry) => !/^\d{1,5}$/.test(entry))) {
        refuse(`"${port}" is not the number of a port`, 'name ports of the Service by number');
      }
      draft.proxyProtocol = ports.filter((entry) => /^\d{1,5}$/.test(entry)).map(Number);
    },
  ),
  served(
    'proxy-protocol',
    { values: '`*`', fallback: 'off', means: 'Proxy protocol v2 to the targets of all ports.' },
    ({ text, draft, refuse }) => {
      if (text === '*') draft.proxyProtocol = 'all';
      else refuse(`"${text}" is not understood`, 'write "*" for all ports, or remove the annotation');
    },
  ),
];
