/** Rows of the annotation table about groups and their members. */
import {
  ignored,
  readInteger,
  readPairs,
  readPortPairs,
  readWord,
  refused,
  served,
  unserved,
} from './annotation-row.ts';
import type { Row } from './annotation-row.ts';

const pods = 'pods as members (ENI) are not served yet; members are nodes';

export const targetRows: readonly Row[] = [
  served(
    'vgroup-port',
    {
      values: '`rsp-x:443,rsp-y:80`',
      means: 'VServer groups of yours, by service port.',
      note: 'Needs `id`. Only members that Sluice put in are changed; the group itself stays.',
    },
    (reading) => {
      reading.draft.groups = readPortPairs(
        reading,
        false,
        (text: string) => (/^rsp-[A-Za-z0-9-]+$/.test(text) ? text : undefined),
        'rsp-x:443,rsp-y:80',
      );
    },
  ),
  served(
    'weight',
    {
      values: '0 to 100',
      means: 'Share of the nodes of this cluster in groups of yours.',
      note: 'Needs `vgroup-port`.',
    },
    (reading) => {
      reading.draft.weight = readInteger(reading, 0, 100);
    },
  ),
  served(
    'default-weight',
    { values: '0 to 100', fallback: '`100`', means: 'Weight of each node under policy Cluster.' },
    (reading) => {
      reading.draft.defaultWeight = readInteger(reading, 0, 100) ?? 100;
    },
  ),
  served(
    'ignore-weight-update',
    { values: '`on`, `off`', fallback: '`off`', means: 'Leaves weights as they are once a member is in.' },
    (reading) => {
      reading.draft.ignoreWeights =
        readWord({ ...reading, text: reading.text.toLowerCase() }, ['on', 'off']) === 'on';
    },
  ),
  served(
    'backend-label',
    {
      values: '`key=value` pairs',
      fallback: 'all nodes',
      means: 'Labels that a node must all have to be a member.',
    },
    (reading) => {
      reading.draft.nodeSelector = Object.fromEntries(readPairs(reading));
    },
  ),
  unserved(
    '',
    'service.beta.kubernetes.io/backend-type',
    'refused',
    'What is a member.',
    pods,
    (text) => text !== 'ecs',
  ),
  refused('backend-ip-version', 'Family of ENI members.', pods, (text) => text !== 'ipv4'),
  ignored(
    'remove-unscheduled-backend',
    'Takes cordoned nodes out.',
    'cordoned nodes stay members, the health check judges them; label a node node.kubernetes.io/exclude-from-external-load-balancers to take it out',
    (text) => text === 'on',
  ),
];
