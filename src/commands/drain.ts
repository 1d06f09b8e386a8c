/**
 * `sluice drain`: no new connections for an endpoint or for the endpoints of a node, and a wait until those that are
 * open have ended. Nothing is ever cut.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { conntrackTable } from '../agent/conntrack/table.ts';
import {
  drainAnnotation,
  drainedServices,
  drainText,
  isOpenTo,
  parseDrainTarget,
  type DrainedService,
  type DrainTarget,
  type NamedSlice,
} from '../agent/drain.ts';
import { canonical } from '../agent/decide/addresses.ts';
import { proxyNameLabel, ownProxyName } from '../agent/decide/service.ts';
import { systemSpawn, toolRunner } from '../agent/tool.ts';
import { asSluiceError, SluiceError } from '../core/errors.ts';
import { splitKey, type IpFamily, type ObjectKey, type ServiceObject } from '../core/objects.ts';
import { fieldManager, patchContentType, type Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawObject } from '../kube/raw.ts';
import { slimService, slimSlice } from '../kube/slim.ts';
import { accessFlags, connectBy, outputFlag } from './access.ts';
import { paint, type Shell } from './shell.ts';
import { command, exit } from './table.ts';

export const drainCommand = command({
  name: 'drain',
  summary: 'Send new connections elsewhere and wait until an endpoint, or a node, has none left',
  description:
    `Writes the annotation ${drainAnnotation} on every Service that has the endpoint (or endpoints on the node). From then on every node agent gives it no new connections as long as the Service has other ready endpoints; under policy Local the health-check node port no longer counts it. What is open stays open: nothing is cut. An endpoint that is the only one keeps serving, and that is said.\n\n` +
    'Then it looks at the connection tracking table of this machine until no flow to the endpoint is open, or until --timeout. Run that part as root on the node of the endpoint, where all of its flows pass: there with --wait-only, after --mark-only from anywhere. Closed TCP connections that the kernel still remembers do not count; a UDP flow counts until the kernel forgets it.\n\n' +
    'The annotation stays when all is drained, so that nothing comes back; --undo takes it away. It works for Services that sluice serves; those of kube-proxy are left alone.\n\n' +
    'Exit code: 0 drained (or marked, or undone), 2 flows were left at --timeout, 1 a problem.',
  words: 'pod/NAME|node/NAME|ADDRESS',
  wordCount: [1, 1],
  flags: {
    namespace: {
      kind: 'string',
      value: 'NAME',
      short: 'n',
      help: 'Services of this namespace only; default for a pod: default, else all',
    },
    scope: {
      kind: 'choice',
      choices: ['labelled', 'all'],
      default: 'labelled',
      help: 'Which Services the agents serve, as their own flag says',
    },
    timeout: { kind: 'duration', default: 600_000, help: 'Wait so long at most; 0: for ever' },
    every: { kind: 'duration', default: 2_000, help: 'Time between two looks at the tracked flows' },
    'mark-only': { kind: 'boolean', help: 'Write the annotation and do not wait' },
    'wait-only': { kind: 'boolean', help: 'Wait and write nothing: the annotation is there already' },
    undo: { kind: 'boolean', help: 'Take the annotation away again: new connections come back' },
    output: outputFlag,
    ...accessFlags,
  },
  examples: [
    { line: 'sluice drain pod/web-1 -n shop --mark-only', does: 'no new connections for this pod' },
    { line: 'sudo sluice drain pod/web-1 -n shop', does: 'and wait, on the node of the pod' },
    {
      line: 'sudo sluice drain node/node-1 --timeout 30m -o json',
      does: 'all endpoints of this node, for a script',
    },
    { line: 'sluice drain node/node-1 --undo', does: 'back to normal' },
  ],
  run: async ({ flags, words, shell }) => {
    const [word = ''] = words;
    const target = parseDrainTarget(word);
    const mistakes = [
      ...(target === undefined ? [`"${word}" is neither pod/NAME, node/NAME nor an address`] : []),
      ...([flags['mark-only'], flags['wait-only'], flags.undo].filter(Boolean).length > 1
        ? ['--mark-only, --wait-only and --undo exclude each other; run one of them']
        : []),
    ];
    if (target === undefined || mistakes.length > 0) {
      for (const mistake of mistakes) shell.err(`${paint(shell, 'red', 'sluice:')} ${mistake}\n`);
      shell.err('See `sluice drain --help`.\n');
      return exit.usage;
    }
    const api = await connectBy(flags);
    try {
      const namespace = flags.namespace ?? (target.kind === 'pod' ? 'default' : undefined);
      const found = await find(api, target, namespace, flags.scope);
      if (found.length === 0)
        throw new SluiceError(
          'invalid',
          `no Service that sluice serves has ${word} among its endpoints; is the namespace right (-n), and do the agents run with --scope all (--scope)?`,
          { code: 'NothingToDrain' },
        );
      const unmarked = found.filter(({ marked }) => !marked).map(({ service }) => service);
      if (flags['wait-only'] && unmarked.length > 0)
        throw new SluiceError(
          'invalid',
          `${word} still gets new connections of ${unmarked.join(', ')}; run \`sluice drain ${word} --mark-only\` first`,
          { code: 'NotMarked' },
        );
      if (!flags['wait-only']) for (const one of found) await mark(api, one, flags.undo);
      const notes = flags.undo
        ? []
        : found
            .filter(({ others }) => !others)
            .map(
              ({ service }) =>
                `${service} has no other ready endpoint, so this one goes on getting connections`,
            );
      const wait = !flags.undo && !flags['mark-only'];
      for (const note of notes) shell.err(`${paint(shell, 'yellow', 'sluice:')} ${note}\n`);
      const result = wait
        ? await untilEmpty(found, { timeoutMs: flags.timeout, everyMs: flags.every, shell })
        : { left: undefined, seconds: 0 };
      const drained = wait ? result.left === 0 : undefined;
      const services = found.map(({ service }) => service);
      if (flags.output === 'json') {
        const report = {
          apiVersion: 'sluice.dev/v1alpha1',
          kind: 'Drain',
          target: word,
          services,
          annotation: flags.undo ? 'removed' : 'set',
          drained: drained ?? null,
          left: result.left ?? null,
          seconds: Number(result.seconds.toFixed(1)),
          notes,
        };
        shell.out(`${JSON.stringify(report, undefined, 2)}\n`);
      } else shell.out(`${said(word, services, flags.undo, result, drained)}\n`);
      return drained === false ? exit.changes : exit.ok;
    } finally {
      await api.close();
    }
  },
});

function said(
  word: string,
  services: readonly ObjectKey[],
  undo: boolean,
  { left, seconds }: { readonly left: number | undefined; readonly seconds: number },
  drained: boolean | undefined,
): string {
  const of = services.join(', ');
  if (undo) return `${word} gets new connections again (${of})`;
  if (drained === undefined) return `${word} gets no new connections any more (${of})`;
  return drained
    ? `${word} is drained after ${seconds.toFixed(0)} s (${of})`
    : `${word} still has ${left ?? 0} open flows after ${seconds.toFixed(0)} s (${of}); it gets no new ones`;
}

interface RawSlice {
  readonly endpoints?:
    | readonly {
        readonly addresses?: readonly string[];
        readonly targetRef?: { readonly kind?: string; readonly name?: string };
      }[]
    | null;
}

async function find(
  api: Api,
  target: DrainTarget,
  namespace: string | undefined,
  scope: 'labelled' | 'all',
): Promise<readonly DrainedService[]> {
  const intern = makeIntern();
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const list = async (path: string): Promise<readonly RawObject[]> =>
    ((await api.request('GET', path)) as { readonly items?: readonly RawObject[] }).items ?? [];
  const services = (await list(`/api/v1${within}/services`))
    .map((raw) => slimService(raw, intern))
    .filter((service) => isServed(service, scope));
  const slices = (await list(`/apis/discovery.k8s.io/v1${within}/endpointslices`)).map((raw): NamedSlice => {
    const slice = slimSlice(raw, intern);
    const pods = new Map<string, string>();
    for (const { addresses = [], targetRef } of (raw as RawSlice).endpoints ?? []) {
      if (targetRef?.kind !== 'Pod' || targetRef.name === undefined) continue;
      const family: IpFamily = slice.addressType === 'IPv6' ? 'IPv6' : 'IPv4';
      pods.set(canonical(addresses[0] ?? '', family) ?? '', targetRef.name);
    }
    return { slice, pods };
  });
  return drainedServices(target, services, slices);
}

function isServed({ labels }: Pick<ServiceObject, 'labels'>, scope: 'labelled' | 'all'): boolean {
  const proxy = labels[proxyNameLabel];
  return proxy === ownProxyName || (scope === 'all' && proxy === undefined);
}

/** Sets or takes back the annotation, over whatever else was written meanwhile. */
async function mark(api: Api, { service, entries }: DrainedService, undo: boolean): Promise<void> {
  const { namespace, name } = splitKey(service);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services/${encodeURIComponent(name)}`;
  for (let round = 1; ; round += 1) {
    const { metadata } = (await api.request('GET', path)) as RawObject & {
      readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
    };
    const before = metadata?.annotations?.[drainAnnotation];
    const after = drainText(before, entries, undo);
    if (after === (before ?? null)) return;
    try {
      await api.request('PATCH', path, {
        query: { fieldManager },
        contentType: patchContentType.merge,
        // Tied to what was read: two who drain at once must not lose each other's part.
        body: {
          metadata: { resourceVersion: metadata?.resourceVersion, annotations: { [drainAnnotation]: after } },
        },
      });
      return;
    } catch (thrown) {
      if (asSluiceError(thrown).kind !== 'conflict' || round >= 5) throw thrown;
    }
  }
}

interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs: number;
  readonly shell: Shell;
}

/** Looks until nothing is open. @throws SluiceError where the tracked flows cannot be read. */
async function untilEmpty(
  found: readonly DrainedService[],
  { timeoutMs, everyMs, shell }: WaitOptions,
): Promise<{ readonly left: number; readonly seconds: number }> {
  const table = conntrackTable(toolRunner(systemSpawn));
  const started = performance.now();
  let shown = '';
  for (;;) {
    const lookedAt = performance.now();
    let left = 0;
    const parts: string[] = [];
    for (const protocol of ['TCP', 'UDP'] as const) {
      const sockets = new Set(found.flatMap((one) => one.sockets[protocol]));
      let open = 0;
      for (const family of ['IPv4', 'IPv6'] as const) {
        if (![...sockets].some((socket) => socket.includes(':') === (family === 'IPv6'))) continue;
        await table.dump(family, protocol === 'TCP' ? 'tcp' : 'udp', (entry) => {
          if (isOpenTo(sockets, entry)) open += 1;
        });
      }
      if (open > 0) parts.push(`${open} ${protocol}`);
      left += open;
    }
    const now = performance.now();
    const seconds = (now - started) / 1000;
    const text = left === 0 ? 'nothing is open' : `${left} open (${parts.join(', ')})`;
    if (shell.interactive) shell.err(`\r\u001B[K${text}, ${seconds.toFixed(0)} s${left === 0 ? '\n' : ''}`);
    else if (text !== shown) shell.err(`${text}\n`);
    shown = text;
    if (left === 0 || (timeoutMs > 0 && now - started >= timeoutMs)) return { left, seconds };
    // A table of a million entries takes seconds to read: most of the time nobody does.
    const rest = Math.max(everyMs, (now - lookedAt) * 4);
    await sleep(timeoutMs > 0 ? Math.min(rest, Math.max(50, timeoutMs - (now - started))) : rest);
  }
}
