/**
 * Children that speak to the kernel over netlink: Node opens no such socket. One passes the batches of a first load on,
 * one lives long and passes changes on, one asks what the kernel holds.
 *
 * Perl, because perl-base is in every Debian image and opens any kind of socket without a library; it knows no more of
 * the protocol than where an answer has its error. Where there is no perl, nft does everything.
 */
import type { ChildProcess } from 'node:child_process';
import { SluiceError, asSluiceError } from '../../core/errors.ts';
import { closed, pipesOf } from '../tool.ts';
import { NftRun, type Finished, type SpawnPiped } from './process.ts';

const open = String.raw`
use strict;
binmode STDIN;
socket(my $netlink, 16, 3 | 0x80000, 12) or die "netlink: $!\n";
bind($netlink, pack('S S L L', 16, 0, 0, 0)) or die "netlink: $!\n";
`;

/**
 * Takes length and batch, one after the other. The kernel carries a batch out while it is sent, so its answers are there
 * afterwards. Ends with what the kernel said against the first that it refused; with an argument it says so of each, in
 * a line that is empty where it was taken, and goes on.
 */
const program = String.raw`${open}setsockopt($netlink, 1, 32, pack('i', 1 << 19));
while (read(STDIN, my $length, 4)) {
  $length = unpack('V', $length);
  die "netlink: the input broke off\n" unless read(STDIN, my $batch, $length) == $length;
  until (defined send($netlink, $batch, 0)) { die "netlink: $!\n" unless $! == 4; }
  my ($answers, $against) = (0, '');
  while (defined recv($netlink, my $answer, 65536, 0x40)) {
    my ($type, $errno) = unpack('x4 S x10 l', $answer);
    next unless $type == 2;
    $answers += 1;
    if ($errno && $against eq '') { $! = -$errno; $against = "netlink: $!"; }
  }
  die "netlink: no answer\n" unless $answers;
  if (@ARGV) { syswrite(STDOUT, "$against\n") or exit; }
  elsif ($against ne '') { die "$against\n"; }
}
`;

/** Takes length and request, one after the other, and gives all answers to each. It changes nothing. */
const dumpProgram = String.raw`${open}
binmode STDOUT;
while (read(STDIN, my $length, 4)) {
  $length = unpack('V', $length);
  die "netlink: the input broke off\n" unless read(STDIN, my $request, $length) == $length;
  defined send($netlink, $request, 0) or die "netlink: $!\n";
  for (my $more = 1; $more;) {
    my $answer;
    until (defined recv($netlink, $answer, 1 << 17, 0)) { die "netlink: $!\n" unless $! == 4; }
    for (my $at = 0; $at + 16 <= length $answer;) {
      my ($size, $type) = unpack("x$at L S", $answer);
      $more = 0 if $type == 2 || $type == 3;
      $at += $size < 16 ? 16 : ($size + 3) & ~3;
    }
    print STDOUT $answer or exit;
  }
}
`;

/** For a first load. More than one at a time is no faster: the kernel takes one transaction after the other. */
export class Relay {
  readonly #run: NftRun;

  constructor(start: SpawnPiped) {
    this.#run = new NftRun((_, args) => start('perl', args), ['-e', program]);
  }

  /** Each batch a transaction of its own, in order, up to the first that is refused; ends the child. */
  async send(batches: Iterable<Buffer>): Promise<Finished> {
    try {
      await this.#run.feed(framed(batches));
      return await this.#run.end();
    } catch (error) {
      // It could not be started.
      return { code: undefined, error: asSluiceError(error).message };
    }
  }

  kill(): void {
    this.#run.kill();
  }
}

interface Asked {
  resolve(against: string): void;
  reject(error: unknown): void;
}

/** For changes: it lives as long as the backend, and answers each batch. */
export class RelaySession {
  readonly #start: SpawnPiped;
  #child: ChildProcess | undefined;
  #asked: Asked | undefined;
  #heard = '';
  #answered = false;
  #useless = false;

  constructor(start: SpawnPiped) {
    this.#start = start;
  }

  /** It could not be begun, or ended before it had ever answered: there is no use in asking it again. */
  get useless(): boolean {
    return this.#useless;
  }

  /**
   * Has one batch carried out; one call at a time.
   *
   * @returns what the kernel said against it, empty when it was carried out.
   * @throws SluiceError `ambiguous` where the child ended before its answer.
   */
  send(batch: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
      const child = (this.#child ??= this.#begin());
      this.#heard = '';
      child.stdin?.write(Buffer.concat([...framed([batch])]));
    });
  }

  /** Ends the child; the next batch begins another. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.stdin?.end();
    await closed(child);
  }

  #begin(): ChildProcess {
    const child = this.#start('perl', ['-e', program, 'answer']);
    const { stdin, stdout, stderr } = pipesOf(child, 'perl');
    stdin.on('error', () => undefined);
    let said = '';
    stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 1_000) said += text;
    });
    stdout.setEncoding('utf8').on('data', (text: string) => {
      if (this.#child !== child) return;
      this.#heard += text;
      if (!this.#heard.endsWith('\n')) return;
      this.#answered = true;
      const asked = this.#asked;
      this.#asked = undefined;
      asked?.resolve(this.#heard.trim());
    });
    child.once('error', (cause) => this.#lost(child, cause.message));
    child.once('close', () => this.#lost(child, said.trim()));
    return child;
  }

  #lost(child: ChildProcess, why: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#useless ||= !this.#answered;
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.reject(
      new SluiceError('ambiguous', `perl ended before it answered: ${why || 'without a word'}`, {
        code: 'ChildEnded',
      }),
    );
  }
}

/**
 * Has the kernel answer each request, and gives all that it said.
 *
 * @throws SluiceError transient where there is no perl, or the kernel cannot be asked.
 */
export async function askKernel(start: SpawnPiped, requests: readonly Buffer[]): Promise<Buffer> {
  const child = start('perl', ['-e', dumpProgram]);
  const { stdin, stdout, stderr } = pipesOf(child, 'perl');
  const pieces: Buffer[] = [];
  let said = '';
  stdin.on('error', () => undefined);
  stdout.on('data', (bytes: Buffer) => pieces.push(bytes));
  stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 1_000) said += text;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', (cause) => {
      said = cause.message;
      resolve(null);
    });
    child.once('close', resolve);
  });
  stdin.end(Buffer.concat([...framed(requests)]));
  if ((await ended) === 0) return Buffer.concat(pieces);
  throw new SluiceError('transient', `the kernel could not be asked: ${said.trim() || 'perl was ended'}`, {
    code: 'NotListed',
  });
}

function* framed(batches: Iterable<Buffer>): Generator<Buffer> {
  for (const batch of batches) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(batch.length);
    yield length;
    yield batch;
  }
}
