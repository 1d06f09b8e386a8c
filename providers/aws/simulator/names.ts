/** Names of balancers and target groups. */

import { validation } from './errors.ts';

const LONGEST_NAME = 32;

/** Throws ValidationError unless `name` has 1 to 32 letters, digits and inner hyphens (SDK documentation of CreateLoadBalancer). */
export function checkName(name: string, what: string): void {
  if (name.length < 1 || name.length > LONGEST_NAME) {
    throw validation(`${what} name '${name}' must have 1 to ${LONGEST_NAME} characters`);
  }
  if (!/^[A-Za-z0-9-]+$/.test(name)) {
    throw validation(`${what} name '${name}' can only contain letters, digits and hyphens`);
  }
  if (name.startsWith('-') || name.endsWith('-')) {
    throw validation(`${what} name '${name}' must not begin or end with a hyphen`);
  }
}
