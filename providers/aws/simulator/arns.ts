/** ARNs, ids and DNS names in the forms of ELBv2. */

import type { Random } from '../../../src/core/clock.ts';
import { validation } from './errors.ts';
import type { ResourceKind } from './store.ts';

/** Sixteen hexadecimal digits, as in the tail of every ARN. */
export function hexId(random: Random): string {
  let text = '';
  for (let part = 0; part < 4; part += 1) {
    text += Math.floor(random() * 0x1_0000)
      .toString(16)
      .padStart(4, '0');
  }
  return text;
}

export function loadBalancerArn(region: string, account: string, name: string, id: string): string {
  return `arn:aws:elasticloadbalancing:${region}:${account}:loadbalancer/net/${name}/${id}`;
}

export function targetGroupArn(region: string, account: string, name: string, id: string): string {
  return `arn:aws:elasticloadbalancing:${region}:${account}:targetgroup/${name}/${id}`;
}

/** A listener's ARN carries its balancer's name and id. */
export function listenerArn(balancerArn: string, id: string): string {
  return `${balancerArn.replace(':loadbalancer/', ':listener/')}/${id}`;
}

/**
 * The DNS name of a Network Load Balancer. AWS keeps the case of the balancer's name; here the id is in
 * capitals as well, so that a client that compares names by case is found out.
 */
export function dnsName(region: string, name: string, id: string): string {
  return `${name}-${id.toUpperCase()}.elb.${region}.amazonaws.com`;
}

/** Which kind of resource an ARN names. Throws ValidationError for anything that is no ELBv2 ARN. */
export function kindOfArn(arn: string): ResourceKind {
  const match =
    /^arn:aws[\w-]*:elasticloadbalancing:[\w-]+:\d{12}:(loadbalancer|targetgroup|listener)\/\S+$/.exec(arn);
  switch (match?.[1]) {
    case 'loadbalancer':
      return 'load-balancer';
    case 'targetgroup':
      return 'target-group';
    case 'listener':
      return 'listener';
    case undefined:
    default:
      throw validation(`'${arn}' is not a valid Elastic Load Balancing ARN`);
  }
}

/** Throws ValidationError unless `arn` names a resource of `kind`. */
export function requireKind(arn: string, kind: ResourceKind): void {
  if (kindOfArn(arn) !== kind) throw validation(`'${arn}' is not a valid ${kind.replace('-', ' ')} ARN`);
}
