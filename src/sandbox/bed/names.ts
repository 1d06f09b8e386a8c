/**
 * Names of the network namespaces of a bed, and how the leftovers of dead runs are known.
 *
 * A name tells whose it is: process id and start time of the process that made it, so a process id that was given
 * out anew does not protect leftovers, and a living run is never touched.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

const prefix = 'sluice-bed-';
const folder = '/run/netns';

let beds = 0;

/** A name for each place of a new bed: `sluice-bed-<pid>-<start>-<thread>.<number>-<place>`. */
export function newNames(): (place: string) => string {
  beds += 1;
  const own = `${prefix}${process.pid}-${startOf(process.pid) ?? '0'}-${threadId}.${beds}-`;
  return (place) => own + place;
}

/** Namespaces of beds whose process has ended. */
export function leftovers(): string[] {
  return existing().filter((name) => {
    const maker = /^(\d+)-(\d+)-\d+\.\d+-/.exec(name.slice(prefix.length));
    return maker !== null && startOf(Number(maker[1])) !== maker[2];
  });
}

/** Every namespace of a bed, whoever made it. */
export function existing(): string[] {
  try {
    return readdirSync(folder).filter((name) => name.startsWith(prefix));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** When a process was started, in ticks since the machine's start; undefined where there is none. proc(5), field 22. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in brackets, which may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
