/**
 * Reads Kubernetes manifests from files, folders or standard input, for commands that work without a cluster.
 *
 * Understood are Services, Nodes, EndpointSlices, Pods, Namespaces, AddressPools, Lists of them, and our own settings; everything else in
 * the files is counted and passed over, so that a whole application's manifests can be given as they are.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '../core/objects.ts';
import type { PodFacts } from '../agent/answers/resolve.ts';
import type { AddressPoolObject } from '../core/address-objects.ts';
import { slimNamespace, slimPool, type NamespaceObject } from '../kube/address-kinds.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawObject, RawService } from '../kube/raw.ts';
import { slimNode, slimService, slimSlice } from '../kube/slim.ts';
import { podFacts } from './pod-facts.ts';
import { poolMistakes } from './pool-shape.ts';

export interface Manifests {
  readonly services: readonly ServiceObject[];
  readonly nodes: readonly NodeObject[];
  readonly slices: readonly EndpointSliceObject[];
  readonly pods: readonly PodFacts[];
  readonly pools: readonly AddressPoolObject[];
  readonly namespaces: readonly NamespaceObject[];
  /** The settings among the files, as text with its file's name. */
  readonly settings: readonly { readonly file: string; readonly text: string }[];
  /** Kinds that were passed over, with their numbers. */
  readonly others: ReadonlyMap<string, number>;
  /** One sentence for each thing that could not be read. */
  readonly mistakes: readonly string[];
}

/** Start of the API server's default node-port range. */
const firstNodePort = 30_000;

const clusterScoped: ReadonlySet<string> = new Set(['Node', 'Namespace', 'AddressPool']);

interface Item {
  readonly file: string;
  readonly text: string;
}

export async function readManifests(paths: readonly string[]): Promise<Manifests> {
  const services: ServiceObject[] = [];
  const nodes: NodeObject[] = [];
  const slices: EndpointSliceObject[] = [];
  const pods: PodFacts[] = [];
  const pools: AddressPoolObject[] = [];
  const namespaces: NamespaceObject[] = [];
  const settings: Item[] = [];
  const others = new Map<string, number>();
  const mistakes: string[] = [];
  const intern = makeIntern();

  const take = (raw: unknown, file: string, text: string): void => {
    if (raw === null || raw === undefined) return;
    if (typeof raw !== 'object' || !('kind' in raw) || typeof raw.kind !== 'string') {
      mistakes.push(`${file}: a document without "kind" is no Kubernetes object`);
      return;
    }
    const { kind } = raw;
    if (kind.endsWith('List') && 'items' in raw && Array.isArray(raw.items)) {
      // Items of a typed list (`ServiceList`) do not name their kind themselves.
      const of = kind.slice(0, -'List'.length);
      for (const item of raw.items)
        take(of === '' || item === null ? item : { kind: of, ...(item as object) }, file, text);
      return;
    }
    const object = completed(raw as RawObject, kind);
    if (kind === 'Config' && 'apiVersion' in raw && raw.apiVersion === 'sluice.dev/v1alpha1')
      settings.push({ file, text });
    else if (object.metadata?.name === undefined) mistakes.push(`${file}: a ${kind} without metadata.name`);
    else if (kind === 'Service') services.push(slimService(object, intern));
    else if (kind === 'Node') nodes.push(slimNode(object, intern));
    else if (kind === 'EndpointSlice') slices.push(slimSlice(object, intern));
    else if (kind === 'Pod') pods.push(podFacts(object));
    else if (kind === 'AddressPool') {
      const wrong = poolMistakes('spec' in raw ? raw.spec : undefined);
      if (wrong.length === 0) pools.push(slimPool(object));
      for (const one of wrong) mistakes.push(`${file}: AddressPool ${object.metadata.name}: ${one}`);
    } else if (kind === 'Namespace') namespaces.push(slimNamespace(object));
    else others.set(kind, (others.get(kind) ?? 0) + 1);
  };

  for (const { file, text, value } of await readDocuments(paths, mistakes)) {
    try {
      take(value, file, text);
    } catch (error) {
      mistakes.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { services, nodes, slices, pods, pools, namespaces, settings, others, mistakes };
}

/** What the API server would fill in and a plan needs: a namespace, a UID, node ports. */
function completed(raw: RawObject, kind: string): RawObject {
  const namespace = clusterScoped.has(kind) ? undefined : (raw.metadata?.namespace ?? 'default');
  const uid = raw.metadata?.uid ?? offlineUid(kind, namespace ?? '', raw.metadata?.name ?? '');
  const metadata = { ...raw.metadata, ...(namespace === undefined ? {} : { namespace }), uid };
  return kind === 'Service' ? withNodePorts({ ...raw, metadata }) : { ...raw, metadata };
}

/** A stand-in that is the same at every run and cannot be mistaken for a real one. */
function offlineUid(kind: string, namespace: string, name: string): string {
  return `offline-${[kind, namespace, name].filter((part) => part !== '').join('-')}`;
}

/**
 * Node ports as an API server would allocate them, so that an offline plan is complete. They are examples:
 * the real ones differ. A port that is given keeps its number; TCP and UDP on one port share one.
 */
function withNodePorts(service: RawService): RawService {
  const spec = service.spec;
  if (spec?.type !== 'LoadBalancer' || spec.allocateLoadBalancerNodePorts === false) return service;
  const given = [...(spec.ports ?? []).map(({ nodePort }) => nodePort), spec.healthCheckNodePort];
  let last = firstNodePort - 1;
  const free = (): number => {
    do last += 1;
    while (given.includes(last));
    return last;
  };
  const shared = new Map<number | undefined, number>();
  const ports = (spec.ports ?? []).map((port) => {
    const nodePort = port.nodePort ?? shared.get(port.port) ?? free();
    shared.set(port.port, nodePort);
    return { ...port, nodePort };
  });
  const local = spec.externalTrafficPolicy === 'Local' && spec.healthCheckNodePort === undefined;
  return { ...service, spec: { ...spec, ports, ...(local ? { healthCheckNodePort: free() } : {}) } };
}

/**
 * The documents of files, folders and standard input (`-`), in order.
 *
 * @param mistakes is given one sentence for each thing that could not be read.
 */
export async function readDocuments(
  paths: readonly string[],
  mistakes: string[],
): Promise<readonly (Item & { readonly value: unknown })[]> {
  const found: (Item & { readonly value: unknown })[] = [];
  for (const { file, text } of await readAll(paths, mistakes)) {
    for (const document of parseAllDocuments(text)) {
      const [error] = document.errors;
      try {
        if (error) mistakes.push(`${file}: ${error.message.split('\n')[0]}`);
        else found.push({ file, text: document.toString(), value: document.toJS() });
      } catch (thrown) {
        mistakes.push(`${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      }
    }
  }
  return found;
}

async function readAll(paths: readonly string[], mistakes: string[]): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (const path of paths) {
    try {
      if (path === '-') {
        items.push({ file: 'standard input', text: await readStandardInput() });
      } else if ((await stat(path)).isDirectory()) {
        const names = (await readdir(path)).filter((name) => /\.(ya?ml|json)$/u.test(name)).toSorted();
        if (names.length === 0) mistakes.push(`${path}: no .yaml, .yml or .json file in this folder`);
        for (const name of names)
          items.push({ file: join(path, name), text: await readFile(join(path, name), 'utf8') });
      } else {
        items.push({ file: path, text: await readFile(path, 'utf8') });
      }
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      mistakes.push(missing ? `${path}: there is no such file or folder` : `${path}: ${String(error)}`);
    }
  }
  return items;
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
