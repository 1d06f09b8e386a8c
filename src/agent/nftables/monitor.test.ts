/** What is made of the lines of `nft monitor`, and of a monitor that ends or that missed something. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import type { ChildProcess } from 'node:child_process';
import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import type { ForeignChange } from '../backend.ts';
import { Marks } from './marks.ts';
import { Monitor, MonitorReader } from './monitor.ts';

function reading(): { marks: Marks; heard: (ForeignChange | 'lost')[]; reader: MonitorReader } {
  const marks = new Marks();
  const heard: (ForeignChange | 'lost')[] = [];
  const reader = new MonitorReader({
    header: 'ip',
    isOurs: (mark) => marks.heard(mark),
    onChange: (change) => heard.push(change),
    onLost: () => heard.push('lost'),
  });
  return { marks, heard, reader };
}

const row = 'delete element ip sluice endpoints-cluster { 10.0.0.1 . tcp . 80 . 0:1 : 10.1.0.1 . 80 }\n';
const end = '# new generation 7 by process 4711 (nft)\n';

test('a transaction with a mark of ours is not foreign, whatever its process is called and however the text is cut', () => {
  const { marks, heard, reader } = reading();
  const text = `delete element ip sluice last-write { 1:1 }\nadd element ip sluice last-write { ${marks.next()} }\n${row}${end}`;
  for (const character of text) reader.push(character);
  expect(heard).toEqual([]);
});

test('a mark counts once: who loads a saved table again is foreign', () => {
  const { marks, heard, reader } = reading();
  const text = `add element ip sluice last-write { ${marks.next()} }\n${row}${end}`;
  reader.push(text + text);
  expect(heard).toEqual([{ message: expect.stringContaining('last-write'), process: 'nft (4711)' }]);
});

test('a mark of a transaction that was refused is no mark', () => {
  const { marks, heard, reader } = reading();
  const mark = marks.next();
  marks.forget(mark);
  reader.push(`add element ip sluice last-write { ${mark} }\n${end}`);
  expect(heard).toHaveLength(1);
});

test('a foreign transaction is told by its gravest line, with its process', () => {
  const { heard, reader } = reading();
  reader.push(`${row}delete table ip sluice\n# new generation 9 by process 12 (a (strange) name)\n`);
  expect(heard).toEqual([{ message: 'delete table ip sluice and 1 more', process: 'a (strange) name (12)' }]);
});

test('changes to other tables, also those with a longer name, are nobody of our business', () => {
  const { heard, reader } = reading();
  for (const table of ['ip sluice-probe', 'ip6 sluice', 'inet sluice', 'ip nat']) {
    reader.push(`add element ${table} some { 1.2.3.4 }\nadd table ${table}\n`);
  }
  reader.push(end);
  expect(heard).toEqual([]);
});

test('lost messages are told: nft says so among the changes', () => {
  const { heard, reader } = reading();
  reader.push('# ERROR: We lost some netlink events!\n');
  expect(heard).toEqual(['lost']);
});

interface FakeChild extends EventEmitter {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  killed: boolean;
  kill(): boolean;
}

function fakeChild(): FakeChild {
  const child: FakeChild = Object.assign(new EventEmitter(), {
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    killed: false,
    kill: () => {
      child.killed = true;
      setImmediate(() => child.emit('close', null));
      return true;
    },
  });
  return child;
}

/** A monitor whose children are ours to speak for. */
function monitoring(clock: VirtualClock): { readonly monitor: Monitor; readonly children: FakeChild[] } {
  const children: FakeChild[] = [];
  const monitor = new Monitor(() => {
    const child = fakeChild();
    children.push(child);
    return child as unknown as ChildProcess;
  }, clock);
  return { monitor, children };
}

const breathe = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('a monitor that ends is begun again; that something was missed is told', async () => {
  const clock = new VirtualClock();
  const { monitor, children } = monitoring(clock);
  const heard: ForeignChange[] = [];
  const stop = new AbortController();
  monitor.listen(
    { header: 'ip', isOurs: () => false, onChange: (change) => heard.push(change) },
    stop.signal,
  );
  children[0]?.emit('close', 1);
  await clock.run(2000);
  expect(children).toHaveLength(2);
  expect(heard.map(({ message }) => message)).toEqual(['nft monitor ended: changes may have been missed']);

  children[1]?.stdout.write('# ERROR: We lost some netlink events!\n');
  await breathe();
  expect(heard.at(-1)?.message).toBe('messages of the kernel were lost');

  stop.abort();
  await breathe();
  await clock.run(9000);
  expect(children[1]?.killed).toBe(true);
  expect(children).toHaveLength(2);
});

test('both families listen to one monitor, each hears of its own, and the last to leave ends it', async () => {
  const clock = new VirtualClock();
  const { monitor, children } = monitoring(clock);
  const heard: string[] = [];
  const leave = (['ip', 'ip6'] as const).map((header) => {
    const stop = new AbortController();
    const onChange = ({ message }: ForeignChange): unknown => heard.push(`${header}: ${message}`);
    monitor.listen({ header, isOurs: () => false, onChange }, stop.signal);
    return stop;
  });
  expect(children).toHaveLength(1);
  children[0]?.stdout.write(`delete table ip sluice\n${end}delete table ip6 sluice\n${end}`);
  await breathe();
  expect(heard).toEqual(['ip: delete table ip sluice', 'ip6: delete table ip6 sluice']);

  leave[0]?.abort();
  expect(children[0]?.killed).toBe(false);
  children[0]?.stdout.write(`delete table ip sluice\n${end}delete table ip6 sluice\n${end}`);
  await breathe();
  expect(heard.slice(2)).toEqual(['ip6: delete table ip6 sluice']);

  leave[1]?.abort();
  expect(children[0]?.killed).toBe(true);
  await breathe();
  await clock.run(9000);
  expect(children).toHaveLength(1);
});

test('marks are such as nft lists them, and not without end', () => {
  const edges = [
    Buffer.from('00000000', 'hex'),
    Buffer.from('ffffffff', 'hex'),
    Buffer.from('fffe0000', 'hex'),
  ];
  const marks = new Marks(() => edges.shift() ?? Buffer.from('12345678', 'hex'));
  expect([marks.next(), marks.next(), marks.next(), marks.next()]).toEqual([
    '1:1',
    '2:1',
    '1:1',
    '1235:5679',
  ]);
  for (let number = 0; number < 2000; number += 1) marks.expect(`a:${number}`);
  expect(marks.heard('a:1')).toBe(false);
  expect(marks.heard('a:1999')).toBe(true);
});
