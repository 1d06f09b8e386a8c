/**
 * Both ends of connections, run by `ip netns exec NAME node nftables-peer.ts …`:
 * - `serve PORT`: answers each connection with a line `self peer`; prints `ready`.
 * - `ask HOST PORT TIMES [SOURCE]`: connects one after the other, prints one line for each: the answer, or the error's code.
 * - `storm HOST PORT`: connects without pause, eight at a time, until standard input ends; prints `done all lost`.
 */
import { connect, createServer } from 'node:net';

const [mode, host = '', port = '0', times = '1', source] = process.argv.slice(2);
/**
 * A lost packet is sent again after a second: what takes so long was lost. Over IPv6 a refusal that arrives while the
 * socket still sends (as it does without a wire) is only taken at the second try, so there we wait for that.
 */
const lostAfterMs = host.includes(':') ? 1500 : 900;

function ask(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port),
      ...(source === undefined ? {} : { localAddress: source }),
    });
    let heard = '';
    const timer = setTimeout(() => end('LOST'), lostAfterMs);
    const end = (answer: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
      if (!heard.endsWith('\n')) return;
      // No end of the connection is left waiting anywhere, so that no port is refused to a later one.
      socket.resetAndDestroy();
      end(heard.trim());
    });
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

if (mode === 'serve') {
  createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(`${socket.localAddress ?? ''} ${socket.remoteAddress ?? ''}\n`);
  }).listen({ port: Number(host), host: '::', backlog: 4096 }, () => process.stdout.write('ready\n'));
} else if (mode === 'ask') {
  for (let time = 0; time < Number(times); time += 1) process.stdout.write(`${await ask()}\n`);
} else if (mode === 'storm') {
  const stop = new AbortController();
  process.stdin.resume().on('end', () => stop.abort());
  let all = 0;
  const lost: string[] = [];
  const worker = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const answer = await ask();
      all += 1;
      if (!answer.includes(' ')) lost.push(answer);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  process.stdout.write(`done ${all} ${lost.length} ${lost.slice(0, 3).join()}\n`);
}
