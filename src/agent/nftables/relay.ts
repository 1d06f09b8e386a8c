/**
 * A child that passes batches on to the kernel over netlink: Node opens no such socket.
 *
 * Perl, because perl-base is in every Debian image and opens any kind of socket without a library; it knows no more of
 * the protocol than where an answer has its error. Where there is no perl, nft does everything.
 */
import { asSluiceError } from '../../core/errors.ts';
import { NftRun, type Finished, type SpawnPiped } from './process.ts';

/**
 * Takes length and batch, one after the other. The kernel carries a batch out while it is sent, so its answers are there
 * afterwards. Ends with what the kernel said against the first that it refused.
 */
const program = String.raw`
use strict;
binmode STDIN;
socket(my $netlink, 16, 3 | 0x80000, 12) or die "netlink: $!\n";
bind($netlink, pack('S S L L', 16, 0, 0, 0)) or die "netlink: $!\n";
setsockopt($netlink, 1, 32, pack('i', 1 << 19));
while (read(STDIN, my $length, 4)) {
  $length = unpack('V', $length);
  die "netlink: the input broke off\n" unless read(STDIN, my $batch, $length) == $length;
  until (defined send($netlink, $batch, 0)) { die "netlink: $!\n" unless $! == 4; }
  my $answers = 0;
  while (defined recv($netlink, my $answer, 65536, 0x40)) {
    my ($type, $errno) = unpack('x4 S x10 l', $answer);
    next unless $type == 2;
    $answers += 1;
    if ($errno) { $! = -$errno; die "netlink: $!\n"; }
  }
  die "netlink: no answer\n" unless $answers;
}
`;

/** More than one at a time is no faster: the kernel takes one transaction after the other. */
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

function* framed(batches: Iterable<Buffer>): Generator<Buffer> {
  for (const batch of batches) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(batch.length);
    yield length;
    yield batch;
  }
}
