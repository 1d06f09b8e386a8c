/** Where each region's API is: the vendor's table, and the pattern for the regions that follow it. */

export const regionForm = /^[a-z]{2}(?:-[a-z0-9]+)+$/u;

/** Regions that share the central end point of SLB. */
const centralSlb: ReadonlySet<string> = new Set([
  'cn-qingdao',
  'cn-beijing',
  'cn-hangzhou',
  'cn-shanghai',
  'cn-shenzhen',
  'cn-hongkong',
  'ap-southeast-1',
  'us-east-1',
  'us-west-1',
  'cn-shanghai-finance-1',
  'cn-shenzhen-finance-1',
  'cn-hangzhou-finance',
]);

export type Network = 'public' | 'vpc';

/**
 * The host of a product's API in a region: from inside a VPC (`vpc`), which needs no way to the internet, or
 * from anywhere.
 */
export function endpointOf(product: 'slb' | 'vpc' | 'sts', region: string, network: Network): string {
  if (network === 'vpc') return `${product}-vpc.${region}.aliyuncs.com`;
  if (product === 'slb' && centralSlb.has(region)) return 'slb.aliyuncs.com';
  return `${product}.${region}.aliyuncs.com`;
}
