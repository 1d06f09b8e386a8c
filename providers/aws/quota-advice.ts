/**
 * Which quota stands behind a refusal, in the words under which the Service Quotas console lists it: AWS's own
 * messages often say only that something is too many.
 *
 * Source: Elastic Load Balancing user guide, "Quotas for your Network Load Balancers".
 */

const quotas: Readonly<Record<string, readonly string[]>> = {
  TooManyLoadBalancers: ['Network Load Balancers per Region'],
  TooManyListeners: ['Listeners per Network Load Balancer'],
  TooManyTargetGroups: ['Target Groups per Region'],
  TooManyCertificates: ['Certificates per Network Load Balancer'],
  TooManyTargets: [
    'Targets per Target Group per Region',
    'Targets per Availability Zone per Network Load Balancer',
    'Targets per Network Load Balancer',
  ],
};

/** What to add to the message of a refusal; empty where the code names no quota that we know. */
export function quotaAdvice(code: string): string {
  const [first, ...others] = quotas[code] ?? [];
  if (first === undefined) return '';
  const names = [first, ...others].map((name) => `"${name}"`).join(' or ');
  return `; the quota ${names} is reached: raise it at AWS (Service Quotas, Elastic Load Balancing), or free something`;
}
