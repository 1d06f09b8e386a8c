/**
 * Children that change the kernel over netlink. One passes the batches of a first load on, one lives long and passes
 * changes on. Where there is no perl (see netlink/ask.ts), nft does everything.
 */
import type { ChildProcess } from 'node:child_process';
import { SluiceError, asSluiceError } from '../../core/errors.ts';
import { framed, openNetlink } from '../netlink/ask.ts';
import { closed, pipesOf } from '../tool.ts';
import { NftRun, type Finished, type SpawnPiped } from './process.ts';

/**
 * Takes length and batch, one after the other. The kernel carries a batch out while it is sent, so its answers are there
 * afterwards. Ends with what the kernel said against the first that it refused; with an argument it says so of each, in
 * a line that is empty where it was taken, and goes on.
 */
const program = String.raw`${openNetlink}setsockopt($netlink, 1, 32, pack('i', 1 << 19));
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
