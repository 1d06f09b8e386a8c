/**
 * Backends without a kernel: the very code that writes rules, with a stand-in for the programs that takes down what it
 * is told. For `--dry-run` and for the rules in `explain`.
 */
import { EventEmitter } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { PassThrough, Writable } from 'node:stream';
import type { Backend } from '../agent/backend.ts';
import type { Spawn } from '../agent/tool.ts';
import type { IpFamily } from '../core/objects.ts';
import type { AgentChoice } from './agent-flags.ts';

/** A backend that is told to write and touches nothing. */
export async function standIn(
  name: Backend['name'],
  variant: AgentChoice['variant'],
  family: IpFamily,
  spawn: Spawn,
): Promise<Backend> {
  if (name === 'nftables') {
    const { NftablesBackend } = await import('../agent/nftables/backend.ts');
    return new NftablesBackend({ family, start: spawn });
  }
  const { IptablesBackend } = await import('../agent/iptables/backend.ts');
  return new IptablesBackend({
    family,
    variant: variant === 'legacy' ? 'legacy' : 'nft',
    abilities: { randomFully: true, bpf: true },
    spawn,
    allowLocalhost: async () => undefined,
  });
}

/** Stands in for the programs: takes down what they would be given, and answers as an empty kernel does. */
export class Recorder {
  readonly #parts: string[] = [];

  readonly spawn: Spawn = (program, args) => {
    const heard: string[] = [];
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const stdin = new Writable({
      decodeStrings: false,
      write: (chunk: string | Buffer, _encoding, done) => {
        heard.push(chunk.toString());
        done();
      },
    });
    const child = Object.assign(new EventEmitter(), {
      stdin,
      stdout,
      stderr,
      pid: undefined,
      exitCode: 0,
      signalCode: null,
      kill: () => true,
    });
    stdin.once('finish', () => {
      const text = heard.join('');
      if (text !== '') this.#parts.push(`# ${program} ${args.join(' ')}\n${text.trimEnd()}\n`);
      const reading = args[0] === 'list' || args.includes('list');
      if (reading) stderr.write('Error: No such file or directory\n');
      stdout.end();
      stderr.end();
      // Both streams are read to their end first, as with a real child.
      setImmediate(() => setImmediate(() => child.emit('close', reading ? 1 : 0, null)));
    });
    return child as unknown as ChildProcess;
  };

  text(): string {
    return this.#parts.join('\n');
  }
}
