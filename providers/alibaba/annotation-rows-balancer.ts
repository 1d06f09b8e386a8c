/** Rows of the annotation table about the balancer itself. */
import { isIPv4 } from 'node:net';
import { alibabaClass } from '../../src/core/claim.ts';
import { ignored, readForm, readInteger, readPairs, readWord, refused, served } from './annotation-row.ts';
import type { Row } from './annotation-row.ts';
import { tagMistake } from './tags.ts';

const creation = 'At creation only: a later change is reported.';
const zone = /^[a-z]{2}(?:-[a-z0-9]+)+$/;

export const balancerRows: readonly Row[] = [
  served(
    'address-type',
    {
      values: '`internet`, `intranet`',
      fallback: 'that of the settings, else `internet`',
      means: 'Which side can reach the address.',
      note: creation,
    },
    (reading) => {
      reading.draft.addressType = readWord(reading, ['internet', 'intranet']);
    },
  ),
  served(
    'bandwidth',
    {
      values: '1 to 5120',
      fallback: 'left as it is',
      means: 'Mbit/s of the balancer.',
      note: 'Has an effect with `charge-type: paybybandwidth` and `instance-charge-type: PayBySpec` on the internet only; else the address is assigned all the same and `BandwidthNotEffective` says why. An existing balancer takes up to 5000.',
    },
    (reading) => {
      reading.draft.bandwidth = readInteger(reading, 1, 5_120, ', without a unit');
    },
  ),
  served(
    'charge-type',
    {
      values: '`paybytraffic`, `paybybandwidth`',
      fallback: 'left as it is; a new one pays by traffic',
      means: 'What internet traffic is charged by.',
      note: 'A change counts from the next day. `paybybandwidth` needs `instance-charge-type: PayBySpec`.',
    },
    (reading) => {
      reading.draft.chargeType = readWord(reading, ['paybytraffic', 'paybybandwidth']);
    },
  ),
  served(
    'instance-charge-type',
    {
      values: '`PayByCLCU`, `PayBySpec`',
      fallback: 'left as it is; a new one is `PayByCLCU`',
      means: 'What the balancer itself is charged by.',
      note: 'The way back from `PayByCLCU` is closed.',
    },
    (reading) => {
      reading.draft.instanceChargeType = readWord(reading, ['PayByCLCU', 'PayBySpec']);
    },
  ),
  served(
    'spec',
    {
      values: '`slb.s1.small` … `slb.s3.large`',
      fallback: '`slb.s1.small`',
      means: 'Size of a balancer with `PayBySpec`.',
    },
    (reading) => {
      reading.draft.spec = readForm(reading, /^slb\.s\d\.(small|medium|large)$/, 'slb.s1.small');
    },
  ),
  served(
    'id',
    {
      values: 'id of a balancer',
      means: 'Uses a balancer of yours instead of making one.',
      note: 'It is never made, renamed or deleted. Cannot be swapped later.',
    },
    (reading) => {
      reading.draft.id = readForm(reading, /^lb-[A-Za-z0-9-]+$/, 'lb-bp1a2b3c4d5e6f7g8h9i0');
    },
  ),
  served(
    'force-override-listeners',
    {
      values: '`true`, `false`',
      fallback: '`false`',
      means: 'With `id`: makes listeners on that balancer.',
      note: 'A listener that Sluice did not make is reported and stays, also with `true`.',
    },
    (reading) => {
      reading.draft.override = readWord(reading, ['true', 'false']) === 'true';
    },
  ),
  served(
    'name',
    {
      values: '1 to 80 characters, a letter first',
      fallback: 'made from namespace, name and UID',
      means: 'Name of the balancer.',
    },
    (reading) => {
      reading.draft.name = readForm(
        reading,
        /^[A-Za-z\u4e00-\u9fff][\w.\-/\u4e00-\u9fff]{0,79}$/u,
        'web-shop',
      );
    },
  ),
  served(
    'resource-group-id',
    {
      values: 'id of a resource group',
      fallback: 'that of the settings',
      means: 'Resource group of the balancer.',
      note: creation,
    },
    (reading) => {
      reading.draft.resourceGroup = readForm(reading, /^rg-[A-Za-z0-9-]+$/, 'rg-acfm1a2b3c4d5e6');
    },
  ),
  served(
    'additional-resource-tags',
    {
      values: '`key=value` pairs',
      means: 'Tags of the balancer beside ours.',
      note: 'Those that are no longer named are taken off, and no others.',
    },
    (reading) => {
      const tags: Record<string, string> = {};
      for (const [key, value] of readPairs({ ...reading, text: withEquals(reading.text) })) {
        const mistake = tagMistake(key, value);
        if (mistake === undefined) tags[key] = value;
        else reading.refuse(mistake, 'choose another');
      }
      reading.draft.tags = tags;
    },
  ),
  served(
    'delete-protection',
    {
      values: '`on`, `off`',
      fallback: 'on at creation, then left as it is',
      means: 'Protection against deletion.',
      note: 'With `on` a deleted Service keeps its balancer until this says `off`. Without the annotation the protection is ours, and we lift it.',
    },
    (reading) => {
      reading.draft.deleteProtection = readWord(reading, ['on', 'off']);
    },
  ),
  served(
    'modification-protection',
    {
      values: '`ConsoleProtection`, `NonProtection`',
      fallback: '`ConsoleProtection` at creation, then left as it is',
      means: 'Protection against changes in the console.',
    },
    (reading) => {
      reading.draft.modificationProtection = readWord(reading, ['ConsoleProtection', 'NonProtection']);
    },
  ),
  served(
    'vswitch-id',
    {
      values: 'id of a vswitch',
      fallback: 'those of the settings',
      means: 'Where an intranet address is taken from.',
      note: creation,
    },
    (reading) => {
      reading.draft.vSwitch = readForm(reading, /^vsw-[A-Za-z0-9-]+$/, 'vsw-bp1a2b3c4d5e6f7g8h9i0');
    },
  ),
  served(
    'ip',
    { values: 'an IPv4 address', means: 'A fixed intranet address.', note: creation },
    (reading) => {
      if (isIPv4(reading.text)) reading.draft.ip = reading.text;
      else reading.refuse(`"${reading.text}" is not an IPv4 address`, 'write an address of the vswitch');
    },
  ),
  served(
    'ip-version',
    {
      values: '`ipv4`, `ipv6`',
      fallback: '`ipv4`',
      means: 'Family of the address.',
      note: `${creation} IPv6 with \`internet\` only.`,
    },
    (reading) => {
      reading.draft.ipVersion = readWord(reading, ['ipv4', 'ipv6']);
    },
  ),
  served(
    'master-zoneid',
    {
      values: 'id of a zone',
      fallback: 'the cloud chooses',
      means: 'Primary zone.',
      note: `${creation} Needs \`slave-zoneid\`.`,
    },
    (reading) => {
      reading.draft.masterZone = readForm(reading, zone, 'cn-hangzhou-h');
    },
  ),
  served(
    'slave-zoneid',
    {
      values: 'id of a zone',
      fallback: 'the cloud chooses',
      means: 'Secondary zone.',
      note: `${creation} Needs \`master-zoneid\`.`,
    },
    (reading) => {
      reading.draft.slaveZone = readForm(reading, zone, 'cn-hangzhou-i');
    },
  ),
  served(
    'hostname',
    { values: 'a DNS name', means: 'Shown in the status instead of the address.' },
    (reading) => {
      const name = readForm(
        reading,
        /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
        'shop.example.com',
      );
      reading.draft.hostname = name;
    },
  ),
  served(
    'preserve-lb-on-delete',
    {
      values: '`true`',
      means: 'Keeps the balancer, with all that is on it, when the Service goes.',
      note: "Both protections and our marks are taken off. The cloud's own controller takes any value for true, also `false`: such a value is refused, and nothing is deleted.",
    },
    (reading) => {
      // In doubt nothing is deleted.
      reading.draft.preserve = true;
      if (['false', 'off', 'no', '0'].includes(reading.text.toLowerCase())) {
        reading.refuse(
          `"${reading.text}" could be meant either way`,
          'remove the annotation, or write "true"',
        );
      }
    },
  ),
  served(
    'recreate',
    {
      values: '`on`, `off`',
      fallback: '`off`',
      means: 'Makes a new balancer, with a new address, where that of a published address is gone.',
      note: 'Ours alone.',
    },
    (reading) => {
      reading.draft.recreate = readWord(reading, ['on', 'off']) === 'on';
    },
  ),
  refused(
    'external-ip-type',
    'Address of an EIP in the status.',
    'EIPs are not looked up yet; use hostname to show another address, or remove the annotation',
  ),
  refused(
    'network-type',
    'Network of an intranet balancer.',
    'only VPC networks are served; write vpc or remove the annotation',
    (text) => text !== 'vpc',
  ),
  refused(
    'slb-network-type',
    'Older word for `network-type`.',
    'only VPC networks are served; write vpc or remove the annotation',
    (text) => text !== 'vpc',
  ),
  refused(
    'type',
    'Kind of balancer.',
    'only Classic Load Balancers are served; remove the annotation',
    (text) => text !== 'clb',
  ),
  refused(
    'tunnel-type',
    'Marks a Service of another controller.',
    'such Services are not served, and what was made for them is removed',
  ),
  {
    word: '',
    key: alibabaClass,
    values: '`sluice.dev/alibaba`',
    fallback: '',
    means: 'Which controller serves a Service without `spec.loadBalancerClass`.',
    status: 'served',
    note: 'Any other value hands the Service to another controller: what was made for it is removed.',
    // Who serves is decided before anything else is read.
    read: () => undefined,
  },
  ignored(
    'graceful-shutdown',
    'Keeps terminating pods at weight 0.',
    'pods are not members here; the drain of a node port is up to the node',
  ),
];

/** A tag may have no value: `k4` for `k4=`. */
function withEquals(text: string): string {
  return text
    .split(/(?<!\\),/)
    .map((piece) => (piece.trim() === '' || piece.includes('=') ? piece : `${piece}=`))
    .join(',');
}
