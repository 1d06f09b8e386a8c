/** IPv4 ranges, as far as the simulator needs them. */

/** Whether an IPv4 address lies in a range such as `10.0.0.0/8`. Both must be well-formed. */
export function inCidr(address: string, cidr: string): boolean {
  const [base = '', bits = '32'] = cidr.split('/');
  const shift = 32 - Number(bits);
  if (shift === 32) return true;
  return toNumber(address) >>> shift === toNumber(base) >>> shift;
}

function toNumber(address: string): number {
  let result = 0;
  for (const part of address.split('.')) result = (result << 8) | Number(part);
  return result >>> 0;
}
