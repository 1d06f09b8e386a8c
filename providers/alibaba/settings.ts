/**
 * What one Service asks of Alibaba Cloud: the value that annotations and spec are turned into.
 *
 * The annotation table fills a draft row by row; what concerns several rows or the spec is checked here, so that
 * a user reads every problem at once. Pure; nothing here knows the cloud's state. `undefined` is no opinion: an
 * existing balancer keeps what it has.
 */
import { ownAnnotations } from '../../src/core/annotations.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { Parsed } from '../../src/core/provider.ts';
import { prefix, prefixes } from './annotation-row.ts';
import { readAnnotations } from './annotations.ts';
import { impossibleCharges } from './bandwidth.ts';
import type { Switch } from './client-types-common.ts';
import type {
  AddressType,
  InstanceChargeType,
  InternetChargeType,
  ModificationProtection,
} from './client-types.ts';
import type { AlibabaConfig } from './config.ts';
import type { Draft } from './draft.ts';
import { planPorts } from './ports.ts';
import type { PortPlan } from './ports.ts';
import { maxUserTags } from './tags.ts';
import type { Tags } from './tags.ts';

export interface AlibabaSettings {
  readonly region: string;
  readonly addressType: AddressType;
  /** The user said so. */
  readonly addressTypeAsked: boolean;
  /** False: a new one may not be reachable from the internet. */
  readonly mayCreate: boolean;
  /** A balancer that the user brought along, and whether listeners are made on it. */
  readonly reuse: { readonly id: string; readonly listeners: boolean } | undefined;
  readonly name: string | undefined;
  readonly resourceGroup: string | undefined;
  readonly resourceGroupAsked: boolean;
  readonly tags: Tags;
  readonly deleteProtection: Switch | undefined;
  readonly modificationProtection: ModificationProtection | undefined;
  readonly instanceChargeType: InstanceChargeType | undefined;
  readonly spec: string | undefined;
  readonly chargeType: InternetChargeType | undefined;
  /** Mbit/s. */
  readonly bandwidth: number | undefined;
  readonly bandwidthKey: string;
  readonly vpc: string | undefined;
  readonly vSwitch: string | undefined;
  readonly ip: string | undefined;
  readonly ipVersion: 'ipv4' | 'ipv6' | undefined;
  readonly masterZone: string | undefined;
  readonly slaveZone: string | undefined;
  readonly hostname: string | undefined;
  readonly preserve: boolean;
  readonly recreate: boolean;
  readonly ports: readonly PortPlan[];
  readonly weight: number | undefined;
  readonly defaultWeight: number;
  readonly ignoreWeights: boolean;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly targetMode: 'all-nodes' | 'local-nodes';
  readonly backendsPerCall: number;
}

/** Annotations and spec to settings, with all problems. */
export function parseService(service: ServiceObject, config: AlibabaConfig): Parsed<AlibabaSettings> {
  const { draft, problems: found } = readAnnotations(service.annotations);
  const problems: Problem[] = [...found];
  const addressType = draft.addressType ?? config.addressType;
  const { ports, problems: fromPorts } = planPorts(service, draft);
  problems.push(...fromPorts);
  const vSwitch = draft.vSwitch ?? (addressType === 'intranet' ? config.vSwitches[0] : undefined);
  checkPlace(draft, addressType, config, problems);
  checkCharges(draft, addressType, problems);
  checkReuse(draft, problems);
  checkSpec(service, draft, problems);
  const bandwidthKey = prefixes
    .map((one) => `${one}bandwidth`)
    .find((key) => service.annotations[key] !== undefined);
  return {
    settings: {
      region: config.region,
      addressType,
      addressTypeAsked: draft.addressType !== undefined,
      mayCreate: addressType === 'intranet' || config.allowInternet,
      reuse: draft.id === undefined ? undefined : { id: draft.id, listeners: draft.override },
      name: draft.name,
      resourceGroup: draft.resourceGroup ?? config.resourceGroupId,
      resourceGroupAsked: draft.resourceGroup !== undefined,
      tags: chooseTags(draft, config, problems),
      deleteProtection: draft.deleteProtection,
      modificationProtection: draft.modificationProtection,
      instanceChargeType: draft.instanceChargeType,
      spec: draft.spec,
      chargeType: draft.chargeType,
      bandwidth: draft.bandwidth,
      bandwidthKey: bandwidthKey ?? `${prefix}bandwidth`,
      vpc: config.vpcId,
      vSwitch,
      ip: draft.ip,
      ipVersion: draft.ipVersion,
      masterZone: draft.masterZone,
      slaveZone: draft.slaveZone,
      hostname: draft.hostname,
      preserve: draft.preserve,
      recreate: draft.recreate,
      ports,
      weight: draft.weight,
      defaultWeight: draft.defaultWeight,
      ignoreWeights: draft.ignoreWeights,
      nodeSelector: draft.nodeSelector,
      targetMode: ownAnnotations(service.annotations).settings.targets ?? 'local-nodes',
      backendsPerCall: config.backendsPerCall,
    },
    problems,
  };
}

/** Those of the settings file with those of the Service, which win. */
function chooseTags(draft: Draft, config: AlibabaConfig, problems: Problem[]): Tags {
  const tags = { ...config.tags, ...draft.tags };
  const count = Object.keys(tags).length;
  if (count <= maxUserTags) return tags;
  const message = `with those of the settings there are ${count} tags, and there is room for ${maxUserTags} beside ours`;
  problems.push(problem('InvalidAnnotation', 'additional-resource-tags', message, 'name fewer'));
  return config.tags;
}

function checkPlace(
  draft: Draft,
  addressType: AddressType,
  config: AlibabaConfig,
  problems: Problem[],
): void {
  if (draft.id !== undefined) return;
  const refuse = (word: string, message: string, cure: string): void => {
    problems.push(problem('ConflictingSettings', word, message, cure));
  };
  if (addressType === 'internet') {
    // SLB takes a request with a vswitch for an intranet one.
    if (draft.vSwitch !== undefined)
      refuse(
        'vswitch-id',
        'an internet balancer is in no vswitch',
        `remove it, or set ${prefix}address-type to intranet`,
      );
    if (draft.ip !== undefined)
      refuse(
        'ip',
        'only an intranet address can be chosen',
        `remove it, or set ${prefix}address-type to intranet`,
      );
  } else {
    if (draft.ipVersion === 'ipv6')
      refuse(
        'ip-version',
        'an intranet balancer has IPv4 only',
        `use ipv4, or set ${prefix}address-type to internet`,
      );
    if (config.vpcId === undefined)
      problems.push(inSettings('vpcId', 'an intranet balancer needs a VPC', 'name its id there'));
    if (draft.vSwitch === undefined && config.vSwitches.length === 0)
      problems.push(
        inSettings(
          'vSwitches',
          'an intranet balancer needs a vswitch',
          `name ids there, or one in ${prefix}vswitch-id`,
        ),
      );
  }
  if ((draft.masterZone === undefined) !== (draft.slaveZone === undefined)) {
    const [there, missing] =
      draft.masterZone === undefined ? ['slave-zoneid', 'master-zoneid'] : ['master-zoneid', 'slave-zoneid'];
    refuse(there, `it needs ${prefix}${missing}`, 'name both zones, or none');
  }
}

function checkCharges(draft: Draft, addressType: AddressType, problems: Problem[]): void {
  const { chargeType, instanceChargeType, spec, id } = draft;
  const byBandwidth = addressType === 'internet' && chargeType === 'paybybandwidth';
  if (byBandwidth && instanceChargeType !== 'PayBySpec' && id === undefined)
    problems.push(impossibleCharges(instanceChargeType !== undefined));
  if (addressType === 'intranet' && chargeType !== undefined) {
    problems.push(
      warning(
        'charge-type',
        'an intranet balancer has no internet traffic to pay for',
        'remove the annotation',
      ),
    );
  }
  if (spec !== undefined && instanceChargeType !== 'PayBySpec' && id === undefined) {
    problems.push(
      warning(
        'spec',
        'only a balancer with PayBySpec has a size',
        `set ${prefix}instance-charge-type to PayBySpec, or remove the annotation`,
      ),
    );
  }
}

function checkReuse(draft: Draft, problems: Problem[]): void {
  if (draft.id === undefined) {
    if (draft.groups.length > 0)
      problems.push(
        problem(
          'ConflictingSettings',
          'vgroup-port',
          'groups of yours are on a balancer of yours, and none is named',
          `name it in ${prefix}id`,
        ),
      );
    if (draft.override)
      problems.push(
        warning(
          'force-override-listeners',
          'a balancer that Sluice makes has its listeners anyway',
          'remove the annotation',
        ),
      );
    return;
  }
  const unused: readonly (readonly [string, unknown])[] = [
    ['name', draft.name],
    ['vswitch-id', draft.vSwitch],
    ['ip', draft.ip],
    ['spec', draft.spec],
    ['charge-type', draft.chargeType],
    ['instance-charge-type', draft.instanceChargeType],
    ['resource-group-id', draft.resourceGroup],
    ['delete-protection', draft.deleteProtection],
    ['modification-protection', draft.modificationProtection],
  ];
  for (const [word, value] of unused) {
    if (value !== undefined)
      problems.push(
        warning(
          word,
          `balancer ${draft.id} is yours, so this is not changed on it`,
          'remove the annotation, and change it in the console',
        ),
      );
  }
  if (draft.weight !== undefined && draft.groups.length === 0)
    problems.push(
      warning(
        'weight',
        'it is about groups of yours, and none is named',
        `name them in ${prefix}vgroup-port, or remove it`,
      ),
    );
}

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);

function checkSpec(service: ServiceObject, draft: Draft, problems: Problem[]): void {
  if (service.sourceRanges.some((range) => !everywhere.has(range))) {
    const enforced = draft.listener['AclStatus'] === 'on' && draft.listener['AclType'] === 'white';
    problems.push({
      severity: enforced ? 'warning' : 'error',
      reason: enforced ? 'IneffectiveSetting' : 'SourceRangesNotEnforced',
      field: 'spec.loadBalancerSourceRanges',
      message: enforced
        ? 'the ranges are not written into the access lists that the listeners are given'
        : `nothing would keep addresses outside ${service.sourceRanges.join(', ')} from the balancer`,
      cure: enforced
        ? 'see to it that those lists hold these ranges and no others'
        : `name an access list of yours in ${prefix}acl-id with acl-status on and acl-type white, or remove the ranges`,
    });
  }
  if (service.loadBalancerIP !== undefined && service.loadBalancerIP !== '') {
    problems.push({
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field: 'spec.loadBalancerIP',
      message: `the address "${service.loadBalancerIP}" is not asked for this way`,
      cure: `use ${prefix}ip for an intranet address, or remove the field`,
    });
  }
  if (service.sessionAffinity === 'ClientIP' && draft.listener['PersistenceTimeout'] === undefined) {
    problems.push({
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field: 'spec.sessionAffinity',
      message: 'the balancer may send a client to another node, where affinity begins anew',
      cure: `set ${prefix}persistence-timeout for tcp listeners`,
    });
  }
}

function problem(reason: Problem['reason'], word: string, message: string, cure: string): Problem {
  return { severity: 'error', reason, field: annotationField(`${prefix}${word}`), message, cure };
}

function warning(word: string, message: string, cure: string): Problem {
  return {
    severity: 'warning',
    reason: 'IneffectiveSetting',
    field: annotationField(`${prefix}${word}`),
    message,
    cure,
  };
}

function inSettings(field: string, message: string, cure: string): Problem {
  return { severity: 'error', reason: 'InvalidConfig', field: `providers.alibaba.${field}`, message, cure };
}
