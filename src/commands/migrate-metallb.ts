/**
 * `sluice migrate --from metallb`: reads MetalLB's pools, from the cluster or from files, and prints the AddressPools
 * that mean the same; with consent it applies them and takes its Services over with their addresses.
 *
 * Nothing of MetalLB is changed or deleted. It can be broken off and run again at any point: what is done is seen, and
 * what failed is tried again. A Service is taken over only once MetalLB has stopped, and a controller of ours has
 * answered for the pools.
 */
import { stringify } from 'yaml';
import { sleep, systemClock } from '../core/clock.ts';
import { asSluiceError, isSluiceError, SluiceError } from '../core/errors.ts';
import type { ServiceObject } from '../core/objects.ts';
import type { Api } from '../kube/api.ts';
import { poolsPath, type RawPool } from '../kube/address-kinds.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawService } from '../kube/raw.ts';
import { slimService } from '../kube/slim.ts';
import { servicePath } from '../kube/writer.ts';
import { connectBy } from './access.ts';
import { agreed } from './consent.ts';
import { applyPool, describe, planMetallb, tellPlan, type MetallbPlan } from './metallb-plan.ts';
import { convertMetallb, type MetallbObject } from './metallb-pools.ts';
import { hindrance, isOfMetallb, takingOver } from './metallb-services.ts';
import { readDocuments } from './manifest-files.ts';
import type { MigrationInput, MigrationSource } from './migrate-source.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';

const kinds = {
  ipaddresspools: 'IPAddressPool',
  l2advertisements: 'L2Advertisement',
  bgpadvertisements: 'BGPAdvertisement',
} as const;

/** For how long a controller may take to answer for the pools. */
const answerMs = 15_000;
const rounds = 4;

export const fromMetallb: MigrationSource = {
  run: async (input) => {
    const { files, apply, planOnly, output, shell } = input;
    const offline = files.length > 0 && !apply && !planOnly;
    const api = offline ? undefined : await connectBy(input);
    try {
      const objects = files.length > 0 ? await fromFiles(files) : await fromCluster(api);
      const { pools, notes } = convertMetallb(objects);
      for (const note of notes) shell.err(`${paint(shell, 'yellow', 'note:')} ${note}\n`);
      if (output === 'json') shell.out(`${JSON.stringify(pools, undefined, 2)}\n`);
      else shell.out(pools.map((pool) => `---\n${stringify(pool)}`).join(''));
      if (pools.length === 0) shell.err('There is no IPAddressPool to read.\n');
      if (api === undefined) return pools.length === 0 ? exit.ok : exit.changes;
      const plan = await planMetallb(api, pools, input.only);
      shell.err(tellPlan(shell, plan));
      return apply ? await carryOut(input, api, plan) : todo(plan) ? exit.changes : outcome(plan);
    } finally {
      await api?.close();
    }
  },
};

function todo({ pools, services, running }: MetallbPlan): boolean {
  return (
    pools.some(({ does }) => does === 'create' || does === 'change') ||
    (running.length === 0 && services.some(({ why }) => why === undefined))
  );
}

/**
 * All that can be done is done. Pools that are not there are a problem: nothing of theirs could be announced. Services
 * that stay with MetalLB for a reason are none.
 */
function outcome(plan: MetallbPlan): number {
  if (plan.pools.some(({ does }) => does === 'left')) return exit.problem;
  return left(plan).length > 0 ? exit.left : exit.ok;
}

async function carryOut(
  { yes, shell }: Pick<MigrationInput, 'yes' | 'shell'>,
  api: Api,
  plan: MetallbPlan,
): Promise<number> {
  if (!todo(plan)) {
    shell.err('Nothing is to be done.\n');
    tellLeft(shell, plan);
    return outcome(plan);
  }
  shell.err('This is about to be done; nothing of MetalLB is changed or deleted.\n');
  if (!yes && !(await agreed(shell))) return exit.problem;
  let failed = false;
  const tell = (what: string, why?: string): void => {
    failed ||= why !== undefined;
    shell.err(
      why === undefined
        ? `  ${paint(shell, 'green', 'done')}    ${what}\n`
        : `  ${paint(shell, 'red', 'failed')}  ${what}: ${why}\n`,
    );
  };
  for (const { pool, does } of plan.pools) {
    if (does !== 'create' && does !== 'change') continue;
    tell(`AddressPool ${pool.metadata.name}`, await reasonOf(applyPool(api, pool, false)));
  }
  const services = plan.services.filter(({ why }) => why === undefined);
  if (services.length > 0 && plan.running.length === 0) {
    const unanswered = failed ? 'a pool could not be applied' : await controllerAnswers(api);
    for (const { service } of services) {
      const why = unanswered ?? (await reasonOf(takeOver(api, service)));
      tell(describe(service), why);
    }
  }
  if (failed) {
    shell.err('Run the command again: it goes on with what is left.\n');
    return exit.problem;
  }
  tellLeft(shell, plan);
  return outcome(plan);
}

function left({ services, running }: MetallbPlan): MetallbPlan['services'] {
  return running.length > 0 ? services : services.filter(({ why }) => why !== undefined);
}

function tellLeft(shell: Shell, plan: MetallbPlan): void {
  const count = left(plan).length;
  if (count > 0)
    shell.err(`${count === 1 ? '1 Service stays' : `${count} Services stay`} with MetalLB, as said above.\n`);
}

async function reasonOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (thrown) {
    return asSluiceError(thrown).message;
  }
}

/**
 * Pools get conditions from the controller that serves them; without one a Service would wait for ever, and could not
 * even be deleted. @returns what is missing; undefined where it is there.
 */
async function controllerAnswers(api: Api): Promise<string | undefined> {
  const until = systemClock.now() + answerMs;
  for (;;) {
    const { items = [] } = (await api.request('GET', poolsPath)) as { readonly items?: readonly RawPool[] };
    if (items.length > 0 && items.every(isJudged)) return undefined;
    if (items.length === 0 || systemClock.now() > until)
      return 'no controller of Sluice has answered for the AddressPools; see that one runs with providers.local in its settings';
    await sleep(systemClock, 200);
  }
}

/** The controller has said what it thinks of the pool as it is now. */
function isJudged({ metadata, status }: RawPool): boolean {
  return (status?.conditions ?? []).some(
    ({ type, observedGeneration }) => type === 'Ready' && observedGeneration === metadata?.generation,
  );
}

/** Ours from this patch on, with the address that it has. */
async function takeOver(api: Api, planned: ServiceObject): Promise<void> {
  for (let round = 1; ; round += 1) {
    const raw = (await api.request('GET', servicePath(planned.key))) as RawService;
    const live = slimService(raw, makeIntern());
    const why = live.uid === planned.uid ? hindrance(live) : 'it was made anew meanwhile';
    if (why !== undefined) throw new SluiceError('conflict', why, { code: 'ChangedMeanwhile' });
    if (!isOfMetallb(live)) return;
    try {
      await api.request('PATCH', servicePath(planned.key), {
        query: { fieldManager: 'sluice-migrate' },
        contentType: 'application/merge-patch+json',
        body: takingOver(raw),
      });
      return;
    } catch (error) {
      if (!isSluiceError(error) || error.kind !== 'conflict' || round >= rounds) throw error;
    }
  }
}

async function fromFiles(files: readonly string[]): Promise<readonly MetallbObject[]> {
  const mistakes: string[] = [];
  const documents = await readDocuments(files, mistakes);
  // Half of somebody's pools would be a plan that looks whole.
  if (mistakes.length > 0) throw new SluiceError('invalid', mistakes.join('; '), { code: 'BadFiles' });
  return documents.flatMap(({ value }): readonly MetallbObject[] => {
    if (typeof value !== 'object' || value === null) return [];
    return (value as { readonly items?: readonly MetallbObject[] }).items ?? [value];
  });
}

/** MetalLB may be gone already, its kinds with it: then there is nothing to read, and that is said. */
async function fromCluster(api: Api | undefined): Promise<readonly MetallbObject[]> {
  const found: MetallbObject[] = [];
  for (const [plural, kind] of Object.entries(kinds)) {
    try {
      const list = (await api?.request('GET', `/apis/metallb.io/v1beta1/${plural}`)) as {
        readonly items?: readonly MetallbObject[];
      };
      found.push(...(list.items ?? []).map((item) => ({ ...item, kind })));
    } catch (thrown) {
      if (asSluiceError(thrown).kind !== 'gone') throw thrown;
    }
  }
  return found;
}
