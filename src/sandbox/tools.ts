/** Where programs of the system are, also those in folders that are not on everybody's PATH. */
import { delimiter } from 'node:path';

/** Where tools of the network are. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** A search path with the folders of system tools at its end. */
export function withSystemFolders(path: string): string {
  return [...new Set([...path.split(delimiter), ...systemFolders])].join(delimiter);
}
