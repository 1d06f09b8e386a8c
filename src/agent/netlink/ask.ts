/**
 * A child that asks the kernel over netlink: Node opens no such socket.
 *
 * Perl, because perl-base is in every Debian image and opens any kind of socket without a library; it knows no more of
 * the protocol than where a message ends, and how an answer does.
 */
import { SluiceError } from '../../core/errors.ts';
import { pipesOf, type Spawn } from '../tool.ts';

/** A socket of the kernel's packet filter, `$netlink`, and an input of bytes. */
export const openNetlink = String.raw`
use strict;
binmode STDIN;
socket(my $netlink, 16, 3 | 0x80000, 12) or die "netlink: $!\n";
bind($netlink, pack('S S L L', 16, 0, 0, 0)) or die "netlink: $!\n";
`;

/** Takes length and request, one after the other, and gives all answers to each. It changes nothing. */
const dumpProgram = String.raw`${openNetlink}
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

/**
 * Has the kernel answer each request, and hands on what it says as it comes.
 *
 * @throws SluiceError transient where there is no perl, or the kernel cannot be asked.
 */
export async function askPiecewise(
  start: Spawn,
  requests: readonly Buffer[],
  take: (bytes: Buffer) => void,
): Promise<void> {
  const child = start('perl', ['-e', dumpProgram]);
  const { stdin, stdout, stderr } = pipesOf(child, 'perl');
  let said = '';
  let refused: unknown;
  stdin.on('error', () => undefined);
  stdout.on('data', (bytes: Buffer) => {
    if (refused !== undefined) return;
    try {
      take(bytes);
    } catch (error) {
      refused = error;
      child.kill('SIGKILL');
    }
  });
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
  const code = await ended;
  if (refused !== undefined) throw refused;
  if (code === 0) return;
  throw new SluiceError('transient', `the kernel could not be asked: ${said.trim() || 'perl was ended'}`, {
    code: 'NotListed',
  });
}

/**
 * Has the kernel answer each request, and gives all that it said.
 *
 * @throws SluiceError transient where there is no perl, or the kernel cannot be asked.
 */
export async function askKernel(start: Spawn, requests: readonly Buffer[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  await askPiecewise(start, requests, (bytes) => void pieces.push(bytes));
  return Buffer.concat(pieces);
}

/** Length and batch, one after the other, as the children read them. */
export function* framed(batches: Iterable<Buffer>): Generator<Buffer> {
  for (const batch of batches) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(batch.length);
    yield length;
    yield batch;
  }
}
