/**
 * An announcer as a process of its own, so that it can be frozen and killed: holdings as lines of JSON on standard
 * input, what it hears as lines of JSON on standard output.
 */
import { createInterface } from 'node:readline';
import type { Holding } from '../../../src/agent/announce/announcer.ts';
import { KernelAnnouncer } from '../../../src/agent/announce/kernel/engine.ts';

const say = (kind: string, fields: object): void =>
  void process.stdout.write(`${JSON.stringify({ kind, ...fields })}\n`);

const announcer = new KernelAnnouncer();
await announcer.start({
  mayRenew: () => true,
  asked: (address, count) => say('asked', { address, count }),
  contested: (address, mac) => say('contested', { address, mac }),
  held: (address, error) => say('held', { address, code: error?.code, message: error?.message }),
  links: () => undefined,
});
say('started', {});

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as {
    readonly hold?: readonly Holding[];
    readonly stop?: 'release' | 'keep';
  };
  if (order.hold !== undefined) {
    await announcer.hold(order.hold);
    say('done', {});
  }
  if (order.stop !== undefined) {
    await announcer.stop(order.stop);
    break;
  }
}
// Its standard input is still open.
process.exit(0);
