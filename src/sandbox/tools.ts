/** Whether programs of the system are there, also those in folders that are not on everybody's PATH. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where tools of the network are. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** A search path with the folders of system tools at its end. */
export function withSystemFolders(path: string): string {
  return [...new Set([...path.split(delimiter), ...systemFolders])].join(delimiter);
}

export function isProgram(name: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}
