/** What can go wrong between us and the kernel, in words with their cure. */
import { getSystemErrorName } from 'node:util';
import { SluiceError } from '../../../core/errors.ts';

/** The bound of a request was over before the kernel was asked. */
export function late(): SluiceError {
  return new SluiceError(
    'busy',
    'the kernel was not reached in time: the agent, or what it runs on, stood still',
    {
      code: 'TooLate',
    },
  );
}

/** An errno of the kernel in words. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `error ${errno}`;
  }
}

/** The kernel refused something as a whole. */
export function refusal(action: string, errno: number): SluiceError {
  const name = errnoName(errno);
  return name === 'EPERM' || name === 'EACCES'
    ? new SluiceError(
        'denied',
        'the agent may not open sockets for ARP and neighbour discovery: give it the capabilities NET_ADMIN and NET_RAW, in the network namespace of the node (hostNetwork)',
        { code: 'CapabilityMissing', action },
      )
    : new SluiceError('transient', `the kernel refused (${action}): ${name}`, { code: name, action });
}

/** The child could not be started. */
export function notStarted(cause: NodeJS.ErrnoException): SluiceError {
  return cause.code === 'ENOENT'
    ? new SluiceError(
        'invalid',
        'there is no program perl on this node: addresses are announced through it; put the package perl-base into the image',
        { code: 'ToolMissing', cause },
      )
    : new SluiceError('transient', `cannot start perl: ${cause.message}`, { code: 'CannotStart', cause });
}
