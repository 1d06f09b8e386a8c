/**
 * What one Service asks of AWS: the value that annotations and spec are turned into.
 *
 * The annotation table (`annotations.ts`) fills a draft row by row; what concerns several rows or the spec
 * is checked here, so that a user reads every problem at once. Pure; nothing here knows AWS's state.
 */
import { isIP } from 'node:net';
import { ownAnnotations } from '../../src/core/annotations.ts';
import { parseCidr } from '../../src/core/cidr.ts';
import type { ServiceObject } from '../../src/core/objects.ts';
import { annotationField } from '../../src/core/problems.ts';
import type { Problem } from '../../src/core/problems.ts';
import type { Parsed } from '../../src/core/provider.ts';
import { prefix } from './annotation-row.ts';
import { readAnnotations } from './annotations.ts';
import type { AwsConfig } from './config.ts';
import { planPorts } from './ports.ts';
import type { PortPlan } from './ports.ts';
import type { Attributes, Scheme, SubnetMapping, Tags } from './observed.ts';
import type { Draft } from './draft.ts';
import { maxUserTags } from './tags.ts';

export interface AwsSettings {
  readonly name: string | undefined;
  readonly scheme: Scheme;
  /** The user said so; otherwise an existing balancer keeps the scheme that it has. */
  readonly schemeAsked: boolean;
  /** In the order written, which pairs them with Elastic IPs. */
  readonly subnets: readonly SubnetMapping[];
  readonly subnetsAsked: boolean;
  readonly securityGroups: readonly string[];
  readonly balancerAttributes: Attributes;
  readonly tags: Tags;
  readonly nodeSelector: Readonly<Record<string, string>>;
  /** Under policy Local: only nodes that hold an endpoint, or all of them. */
  readonly targetMode: 'all-nodes' | 'local-nodes';
  readonly vpc: string | undefined;
  readonly ports: readonly PortPlan[];
}

/** Annotations and spec to settings, with all problems. */
export function parseService(service: ServiceObject, config: AwsConfig): Parsed<AwsSettings> {
  const { draft, problems: fromAnnotations } = readAnnotations(service.annotations);
  const problems: Problem[] = [...fromAnnotations];
  const scheme = draft.scheme ?? draft.internal;
  if (draft.scheme !== undefined && draft.internal !== undefined && draft.scheme !== draft.internal) {
    problems.push({
      severity: 'error',
      reason: 'ConflictingSettings',
      field: annotationField(`${prefix}internal`),
      message: `it asks for a scheme of "${draft.internal}", ${prefix}scheme for "${draft.scheme}"`,
      cure: `remove ${prefix}internal`,
    });
  }
  const ports = planPorts(service, draft);
  problems.push(...ports.problems);
  const subnets = chooseSubnets(draft, scheme ?? config.scheme, config, problems);
  const securityGroups = draft.securityGroups ?? (draft.withoutSecurityGroups ? [] : config.securityGroups);
  checkSecurityGroups(draft, problems);
  checkSourceRanges(service, draft, securityGroups.length > 0, problems);
  checkSpec(service, problems);
  return {
    settings: {
      name: draft.name,
      scheme: scheme ?? config.scheme,
      schemeAsked: scheme !== undefined,
      subnets,
      subnetsAsked: draft.subnets !== undefined,
      securityGroups: [...new Set(securityGroups)].toSorted(),
      balancerAttributes: draft.balancerAttributes,
      tags: chooseTags(draft, config, problems),
      nodeSelector: draft.nodeSelector,
      targetMode: ownAnnotations(service.annotations).settings.targets ?? 'local-nodes',
      vpc: config.vpcId,
      ports: ports.ports,
    },
    problems,
  };
}

function chooseSubnets(
  draft: Draft,
  scheme: Scheme,
  config: AwsConfig,
  problems: Problem[],
): readonly SubnetMapping[] {
  const subnets = draft.subnets ?? config.subnets[scheme];
  if (subnets.length === 0) {
    problems.push({
      severity: 'error',
      reason: 'InvalidConfig',
      field: `providers.aws.subnets.${scheme}`,
      message: `no subnets are known for a balancer of scheme "${scheme}"`,
      cure: `name subnet ids there, or in ${prefix}subnets`,
    });
    return [];
  }
  if (draft.allocations.length === 0) return subnets.map((subnet) => ({ subnet }));
  const field = annotationField(`${prefix}eip-allocations`);
  if (scheme !== 'internet-facing') {
    problems.push({
      severity: 'error',
      reason: 'ConflictingSettings',
      field,
      message: 'Elastic IPs are only possible on an internet-facing balancer, and this one is internal',
      cure: `set ${prefix}scheme to internet-facing, or remove the annotation`,
    });
    return subnets.map((subnet) => ({ subnet }));
  }
  if (draft.allocations.length !== subnets.length) {
    problems.push({
      severity: 'error',
      reason: 'InvalidAnnotation',
      field,
      message: `it names ${draft.allocations.length} addresses for ${subnets.length} subnets (${subnets.join(', ')})`,
      cure: 'name one allocation id for each subnet, in the same order',
    });
    return subnets.map((subnet) => ({ subnet }));
  }
  return subnets.map((subnet, i) => {
    const allocation = draft.allocations[i];
    return allocation === undefined ? { subnet } : { subnet, allocation };
  });
}

/** Those of the settings with those of the Service, which win. */
function chooseTags(draft: Draft, config: AwsConfig, problems: Problem[]): Tags {
  const tags = { ...config.tags, ...draft.tags };
  const count = Object.keys(tags).length;
  if (count <= maxUserTags) return tags;
  problems.push({
    severity: 'error',
    reason: 'InvalidAnnotation',
    field: annotationField(`${prefix}additional-resource-tags`),
    message: `with those of the settings there are ${count} tags, and there is room for ${maxUserTags} beside ours`,
    cure: 'name fewer',
  });
  return config.tags;
}

function checkSecurityGroups(draft: Draft, problems: Problem[]): void {
  if (!draft.withoutSecurityGroups || draft.securityGroups === undefined) return;
  problems.push({
    severity: 'error',
    reason: 'ConflictingSettings',
    field: annotationField(`${prefix}disable-nlb-sg`),
    message: `it asks for no security groups, and ${prefix}security-groups names some`,
    cure: 'remove one of the two',
  });
}

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0/0', '::/0']);

/** A security setting is never ignored: ranges that nothing would enforce are an error (item 54). */
function checkSourceRanges(
  service: ServiceObject,
  draft: Draft,
  hasSecurityGroups: boolean,
  problems: Problem[],
): void {
  const fromSpec = service.sourceRanges.length > 0;
  const ranges = fromSpec ? service.sourceRanges : (draft.sourceRanges ?? []);
  const field = fromSpec
    ? 'spec.loadBalancerSourceRanges'
    : annotationField('service.beta.kubernetes.io/load-balancer-source-ranges');
  for (const range of ranges) {
    const parsed = parseCidr(range);
    const wrong =
      parsed.kind === 'malformed'
        ? parsed.message
        : parsed.cidr.hostBits
          ? `"${range}" has bits beyond its prefix; the range is ${parsed.cidr.text}`
          : undefined;
    if (wrong === undefined) continue;
    problems.push({
      severity: parsed.kind === 'malformed' ? 'error' : 'warning',
      reason: fromSpec ? 'ConflictingSettings' : 'InvalidAnnotation',
      field,
      message: wrong,
      cure: 'write the range as its first address and the length of its prefix',
    });
  }
  if (ranges.every((range) => everywhere.has(range))) return;
  problems.push(
    hasSecurityGroups
      ? {
          severity: 'warning',
          reason: 'IneffectiveSetting',
          field,
          message: 'the ranges are not written into the security groups that the balancer is given',
          cure: 'see to it that those security groups allow these ranges and no others',
        }
      : {
          severity: 'error',
          reason: 'SourceRangesNotEnforced',
          field,
          message: `nothing would keep addresses outside ${ranges.join(', ')} from the balancer`,
          cure: `name security groups that do in ${prefix}security-groups, or remove the ranges`,
        },
  );
}

function checkSpec(service: ServiceObject, problems: Problem[]): void {
  if (service.loadBalancerIP !== undefined && service.loadBalancerIP !== '') {
    const known = isIP(service.loadBalancerIP) === 0 ? 'value' : 'address';
    problems.push({
      severity: 'warning',
      reason: 'IneffectiveSetting',
      field: 'spec.loadBalancerIP',
      message: `a Network Load Balancer cannot be given the ${known} "${service.loadBalancerIP}" this way`,
      cure: `use ${prefix}eip-allocations for fixed addresses, or remove the field`,
    });
  }
}
