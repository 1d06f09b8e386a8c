/**
 * The one child: it opens the sockets that Node cannot, and passes datagrams both ways. It knows no protocol.
 *
 * Perl, because perl-base is in every Debian image and opens any kind of socket without a library; a compiled helper
 * would have to be built for each processor. Only what perl-base itself holds is used.
 *
 * A datagram may bear the time after which it must not be sent any more, on the clock of /proc/uptime: what was written
 * before everything was frozen must not come true after the thaw. The child ends when its input does, and by nothing that
 * is said to the whole group of processes (a service manager, a terminal): the agent renews once more before it ends.
 */
export const relayProgram = String.raw`
use strict;
$SIG{$_} = 'IGNORE' for qw(TERM INT HUP);
my (%socket, $in, $out) = ((), '', '');
$in = ''; $out = '';
open(my $uptime, '<', '/proc/uptime') or die "sluice: /proc/uptime: $!\n";
sub now {
  sysseek($uptime, 0, 0); sysread($uptime, my $text, 64);
  return $text =~ /^(\d+)\.(\d\d)/ ? $1 * 100 + $2 : 0;
}
sub tell_parent { my $message = join('', @_); $out .= pack('V', length $message) . $message; }
sub flush {
  while (length $out) {
    my $written = syswrite(STDOUT, $out);
    if (defined $written) { substr($out, 0, $written, ''); } elsif ($! != 4) { exit 1; }
  }
}
sub drain {
  my ($id) = @_;
  for (1 .. 256) {
    my $from = recv($socket{$id}, my $data, 65536, 0x40);
    if (defined $from) { tell_parent(pack('aCv/a*', 'r', $id, $from), $data); next; }
    next if $! == 4;
    tell_parent(pack('aCVV', 'e', $id, 0, $! + 0)) if $! != 11;
    last;
  }
}
sub open_socket {
  my ($id, $message) = @_;
  my ($domain, $type, $protocol, @rest) = unpack('x2 V3 C/(V V v/a*) v/a* v/a*', $message);
  my $address = pop @rest;
  my $filter = pop @rest;
  my $made = socket(my $handle, $domain, $type | 0x80000, $protocol);
  while ($made && (my ($level, $name, $value) = splice(@rest, 0, 3))) { setsockopt($handle, $level, $name, $value); }
  $made &&= setsockopt($handle, 1, 26, pack('S x![P] P', length($filter) / 8, $filter)) if length $filter;
  $made &&= bind($handle, $address);
  return tell_parent(pack('aCVV', 'e', $id, 0xffffffff, $! + 0)) unless $made;
  $socket{$id} = $handle;
  tell_parent(pack('aC', 'o', $id), getsockname($handle));
}
sub send_datagram {
  my ($id, $message) = @_;
  my ($until, $tag, $address, $data) = unpack('x2 V V v/a* a*', $message);
  return tell_parent(pack('aCVV', 'e', $id, $tag, 62)) if $until && now() > $until;
  return tell_parent(pack('aCVV', 'e', $id, $tag, 9)) unless $socket{$id};
  while (!defined send($socket{$id}, $data, 0, $address)) {
    next if $! == 4;
    tell_parent(pack('aCVV', 'e', $id, $tag, $! + 0));
    last;
  }
  drain($id);
}
while (1) {
  my $ready = '';
  vec($ready, 0, 1) = 1;
  vec($ready, fileno($_), 1) = 1 for values %socket;
  next if select($ready, undef, undef, undef) < 0;
  if (vec($ready, 0, 1)) {
    my $read = sysread(STDIN, $in, 262144, length $in);
    exit 0 if defined $read && $read == 0;
    exit 1 if !defined $read && $! != 4;
    while (length $in >= 4 && length $in >= 4 + unpack('V', $in)) {
      my $message = unpack('V/a*', $in);
      substr($in, 0, 4 + length $message, '');
      my ($what, $id) = unpack('aC', $message);
      if ($what eq 'o') { open_socket($id, $message); } else { send_datagram($id, $message); }
      flush() if length $out > 65536;
    }
  }
  for my $id (keys %socket) { drain($id) if vec($ready, fileno($socket{$id}), 1); }
  flush();
}
`;
