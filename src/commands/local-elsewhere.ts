/**
 * Two machines that run `sluice local` on one cluster: a Service is served by the one that marked it, in the same
 * patch as the finalizer, and no other writes anything on it.
 *
 * What another machine serves is hidden from the controller here, so that it is as if it were not there: a Service
 * whose mark changes hands is let go here, without a word to the cluster. The mark says who; whether that one still
 * runs is judged by the time that it renews (local-claims.ts).
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ClusterView, ClusterWriter } from '../controller/cluster.ts';
import type { Door } from '../controller/door.ts';
import { servedAtAnnotation, servedByAnnotation, servedOnAnnotation } from '../core/annotations.ts';
import { finalizer } from '../core/claim.ts';
import { SluiceError } from '../core/errors.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { Writer } from '../kube/writer.ts';

type Hearer = Parameters<Door['connect']>[0];

/** The machine that serves the Service, where that is another one; undefined where it is not. */
export function elsewhere(
  { annotations, finalizers }: Pick<ServiceObject, 'annotations' | 'finalizers'>,
  machine: string,
): string | undefined {
  const on = annotations[servedOnAnnotation];
  const ours = finalizers.includes(finalizer) && annotations[servedByAnnotation] === 'local';
  return ours && on !== undefined && on !== '' && on !== machine ? on : undefined;
}

/** For people: who serves it, and the one command that changes that. */
export function elsewhereMessage(on: string, { deleting }: Pick<ServiceObject, 'deleting'>): string {
  return deleting
    ? `it goes once \`sluice local\` on ${on} lets go of it, or has not been heard of for two minutes; at once: \`sluice local --take-over\``
    : `\`sluice local\` on ${on} serves it; to serve it here instead: \`sluice local --take-over\``;
}

/** The picture without what another machine serves. */
export function hiding(door: Door, machine: string): ClusterView {
  const shown = (service: ServiceObject | undefined): ServiceObject | undefined =>
    service === undefined || elsewhere(service, machine) !== undefined ? undefined : service;
  return {
    service: (key) => shown(door.service(key)),
    services: () => [...door.services()].filter((service) => shown(service) !== undefined),
    nodes: () => door.nodes(),
    slices: (service) => door.slices(service),
    caughtUp: (key, version) => door.caughtUp(key, version),
  };
}

/** The same for what is heard: a Service that another machine took has gone. */
export function hearing(hearer: Hearer, machine: string): Hearer {
  const shown = (service: ServiceObject | undefined): ServiceObject | undefined =>
    service === undefined || elsewhere(service, machine) !== undefined ? undefined : service;
  return {
    serviceChanged: (before, after) => {
      const [was, is] = [shown(before), shown(after)];
      if (was !== undefined || is !== undefined) hearer.serviceChanged(was, is);
    },
    nodeChanged: (before, after) => hearer.nodeChanged(before, after),
    slicesChanged: (service) => hearer.slicesChanged(service),
  };
}

export interface MarkingOptions {
  readonly writer: Writer;
  readonly door: Door;
  /** What this machine calls itself. */
  readonly machine: string;
  /** The time that a new mark bears. */
  readonly time: () => string;
}

/** Writes nothing on what another machine serves, and leaves the mark of this one on what is served here. */
export function marking(
  inner: ClusterWriter,
  { writer, door, machine, time }: MarkingOptions,
): ClusterWriter {
  const check = (live: ServiceObject): void => {
    const on = elsewhere(live, machine);
    // As a Service that has gone: nothing more is said of it, and what is here for it is taken down.
    if (on !== undefined)
      throw new SluiceError('gone', `service ${live.key}: ${elsewhereMessage(on, live)}`, {
        code: 'ServedElsewhere',
        action: 'patch services',
      });
  };
  const latest = ({ key, uid }: ServiceObject): void => {
    const seen = door.service(key);
    if (seen?.uid === uid) check(seen);
  };
  return {
    ...inner,
    addFinalizer: (service, annotations, signal) => {
      const known = service.annotations[servedOnAnnotation] === machine;
      const at = (known ? service.annotations[servedAtAnnotation] : undefined) ?? time();
      const marks = { [servedOnAnnotation]: machine, [servedAtAnnotation]: at };
      return writer.addFinalizer(service, finalizer, {
        annotations: { ...annotations, ...marks },
        check,
        signal,
      });
    },
    removeFinalizer: (service, annotations, signal) => {
      latest(service);
      return inner.removeFinalizer(service, [...annotations, servedOnAnnotation, servedAtAnnotation], signal);
    },
    patchStatus: (service, patch, signal) => {
      latest(service);
      return inner.patchStatus(service, patch, signal);
    },
    getService: async (key, signal) => {
      const live = await inner.getService(key, signal);
      return live === undefined || elsewhere(live, machine) !== undefined ? undefined : live;
    },
    event: (service, note) => {
      if (elsewhere(service, machine) === undefined) inner.event(service, note);
    },
  };
}

/** What this machine calls itself: its name, and a few random signs that stay with the user's state folder. */
export async function machineName(folder: string): Promise<string> {
  const path = join(folder, 'machine');
  const known = await read(path);
  if (known !== undefined) return known;
  const host = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/gu, '-')
    .slice(0, 40);
  const name = `${host}-${randomBytes(4).toString('hex')}`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await writeFile(path, `${name}\n`, { mode: 0o600, flag: 'wx', flush: true });
    return name;
  } catch (error) {
    // Another one was quicker, or a crash left it without a word.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const theirs = await read(path);
    if (theirs !== undefined) return theirs;
    await writeFile(path, `${name}\n`, { mode: 0o600, flush: true });
    return name;
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    const name = (await readFile(path, 'utf8')).trim();
    return /^[a-z0-9-]{1,60}$/u.test(name) ? name : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The same where it has a name already; nothing is written. */
export async function knownMachineName(folder: string): Promise<string | undefined> {
  return await read(join(folder, 'machine'));
}
