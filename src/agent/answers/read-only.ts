/**
 * Programs that may look and not touch: what reads the kernel is started, what would write it is answered as if it had
 * been carried out. A backend that is run on it works out its whole writing against the live kernel, and changes nothing.
 *
 * What is not known to be harmless is not started.
 */
import { EventEmitter } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { PassThrough, Writable } from 'node:stream';
import type { Spawn } from '../tool.ts';

/** Whether a program with these arguments leaves the kernel as it is. */
export function onlyReads(program: string, args: readonly string[]): boolean {
  if (program === 'nft') {
    const [verb] = args.filter((arg) => !arg.startsWith('-'));
    return verb === 'list' || args.includes('-c') || args.includes('--check');
  }
  if (program === 'ipset') return args[0] === 'save' || args[0] === 'list';
  return /^ip6?tables-(nft|legacy)-save$/u.test(program);
}

export function readOnly(spawn: Spawn): Spawn {
  return (program, args) => (onlyReads(program, args) ? spawn(program, args) : pretend(args));
}

/** A program that takes everything it is told, says nothing against it and ends well. */
function pretend(args: readonly string[]): ChildProcess {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const child = new EventEmitter();
  let rest = '';
  const stdin = new Writable({
    decodeStrings: false,
    write: (chunk: string | Buffer, _encoding, done) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      // A long-lived `nft -i` echoes a word that it does not know: so its caller sees the end of an answer.
      for (const line of lines)
        if (/^zz-[\w-]+$/u.test(line)) stderr.write(`Error: syntax error\n${line}\n^\n`);
      // One that passes batches on has an empty line for each.
      if (args.includes('answer')) stdout.write('\n');
      done();
    },
  });
  stdin.once('finish', () => {
    stdout.end();
    stderr.end();
    // Both streams are read to their end first, as with a real child.
    setImmediate(() =>
      setImmediate(() => {
        child.emit('exit', 0, null);
        child.emit('close', 0, null);
      }),
    );
  });
  return Object.assign(child, {
    stdin,
    stdout,
    stderr,
    pid: undefined,
    exitCode: null,
    signalCode: null,
    kill: () => true,
  }) as unknown as ChildProcess;
}
