/**
 * The processes of the laptop bench, so that server, proxy and load do not share one event loop: `server ADDRESS PORT`
 * serves bytes (a connection that says `bytes N` gets N of them, any other is echoed), `proxy ADDRESS PORT TO PORT`
 * is the engine of laptop mode with one Service. Each says `ready` and ends with its standard input.
 */
import { createServer } from 'node:net';
import { Engine } from '../../../providers/local/laptop/engine/engine.ts';
import { machine } from '../../../providers/local/laptop/engine/network.ts';
import { memoryTable } from '../../../providers/local/laptop/table.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { aUid } from '../../../src/core/fixtures.ts';
import { objectKey } from '../../../src/core/objects.ts';

const [role, address = '', port = '', to = '', toPort = ''] = process.argv.slice(2);
const chunk = Buffer.alloc(256 * 1024, 'x');

function serve(): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (first: Buffer) => {
      const asked = /^bytes (\d+)/u.exec(first.toString('latin1'))?.[1];
      if (asked === undefined) {
        socket.end(first);
        return;
      }
      let left = Number(asked);
      const more = (): void => {
        while (left > 0) {
          const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
          left -= part.length;
          if (!socket.write(part)) return;
        }
        socket.end();
      };
      socket.on('drain', more);
      more();
    });
  });
  server.listen({ host: address, port: Number(port), backlog: 1024 }, () => console.log('ready'));
}

async function proxy(): Promise<void> {
  const engine = new Engine({
    clock: systemClock,
    network: machine,
    table: memoryTable(),
    forward: { lacks: () => 'none', open: () => Promise.reject(new Error('none')) },
    onChange: () => undefined,
  });
  const holder = { cluster: 'bench', uid: aUid('u'), service: objectKey('default', 'web') };
  const name = { address, protocol: 'TCP' as const, port: Number(port) };
  const { signal } = new AbortController();
  await engine.reserve(holder, [address], signal);
  const rules = { sourceRanges: [], affinityMs: 0 };
  await engine.listen(holder, { ...name, listenPort: Number(port), rules }, signal);
  await engine.addTargets(
    holder,
    name,
    [{ kind: 'node', node: 'n1', address: to, port: Number(toPort) }],
    signal,
  );
  console.log('ready');
}

if (role === 'server') serve();
else await proxy();
process.stdin.resume();
process.stdin.once('end', () => process.exit(0));
