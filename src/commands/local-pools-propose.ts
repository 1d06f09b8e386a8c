/** Gathers what a proposal of pools stands on, asks the link, and prints it. */
import { stringify } from 'yaml';
import { parseRange } from '../../providers/local/allocator/ranges.ts';
import { systemClock } from '../core/clock.ts';
import { parseAddress, parseCidr, type Cidr } from '../core/cidr.ts';
import { isSluiceError } from '../core/errors.ts';
import type { NodeObject, ServiceObject } from '../core/objects.ts';
import { poolsPath, slimPool } from '../kube/address-kinds.ts';
import type { Api } from '../kube/api.ts';
import { makeIntern } from '../kube/intern.ts';
import type { RawObject } from '../kube/raw.ts';
import { slimNode, slimService } from '../kube/slim.ts';
import { connectBy } from './access.ts';
import { linkSurvey, type LinkSurvey } from './link-survey.ts';
import { readManifests } from './manifest-files.ts';
import {
  networksOf,
  propose,
  questionsOf,
  type Answers,
  type KnownUse,
  type MachineAddress,
  type Network,
  type Proposal,
} from './pool-proposal.ts';
import { paint, type Shell } from './shell.ts';
import { exit } from './table.ts';

export interface ProposeFlags {
  readonly size: number;
  readonly network: readonly string[];
  readonly 'no-ask': boolean;
  readonly file: readonly string[];
  readonly output: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** What the cluster says. */
interface Picture {
  readonly nodes: readonly NodeObject[];
  readonly services: readonly ServiceObject[];
  readonly pools: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** What could not be read, one sentence each. */
  readonly unread: readonly string[];
}

export async function proposePools(
  flags: ProposeFlags,
  shell: Shell,
  survey: LinkSurvey | undefined = linkSurvey(systemClock),
): Promise<number> {
  const fail = (text: string): number => {
    shell.err(`${paint(shell, 'red', 'sluice:')} ${text}\n`);
    return exit.problem;
  };
  const named: Cidr[] = [];
  for (const text of flags.network) {
    const read = parseCidr(text);
    if (read.kind === 'malformed') return fail(`--network: ${read.message}`);
    named.push(read.cidr);
  }
  const picture = await pictureOf(flags, shell);
  if (picture === undefined) return exit.problem;
  const here = (await survey?.addresses()) ?? [];
  const gateways = (await survey?.gateways()) ?? [];
  const networks = networksOf(picture.nodes, here, named);
  if (networks.length === 0)
    return fail('no node has an address of its own (status.addresses of type InternalIP)');
  for (const line of picture.unread) shell.err(`${paint(shell, 'yellow', 'note:')} ${line}\n`);
  const uses = usesOf(picture, here, gateways);
  const proposals: (Proposal & { readonly of: Network })[] = [];
  for (const network of networks) {
    const answers = flags['no-ask'] ? undefined : await ask(network, uses, survey, shell);
    const made = propose(network, uses, answers, flags.size);
    if ('lack' in made) shell.err(`${paint(shell, 'yellow', 'note:')} ${made.lack}\n`);
    else proposals.push({ ...made, of: network });
  }
  const pools = poolsOf(proposals);
  if (pools.length === 0) return fail('there is nothing to propose');
  shell.out(
    flags.output === 'json'
      ? `${JSON.stringify({ proposals: pools }, undefined, 2)}\n`
      : pools.map(textOf).join(''),
  );
  if (shell.interactive) shell.err('Nothing was applied: read it, then kubectl apply -f it.\n');
  return exit.ok;
}

async function ask(
  network: Network,
  uses: readonly KnownUse[],
  survey: LinkSurvey | undefined,
  shell: Shell,
): Promise<Answers> {
  if (survey === undefined || network.here === undefined) return undefined;
  const questions = questionsOf(network, uses);
  shell.err(`Asking ${questions.length} addresses of ${network.cidr.text} on ${network.here.link} …\n`);
  return await survey.ask(network.here, questions);
}

export interface ProposedPool {
  readonly pool: {
    readonly apiVersion: 'sluice.dev/v1alpha1';
    readonly kind: 'AddressPool';
    readonly metadata: { readonly name: string };
    readonly spec: { readonly addresses: readonly string[]; readonly nodeSelectors?: readonly object[] };
  };
  readonly reasons: readonly string[];
  readonly checks: readonly string[];
}

/** One pool for all networks that the same nodes are in; a node is told apart by its host name where it needs to be. */
function poolsOf(proposals: readonly (Proposal & { readonly of: Network })[]): readonly ProposedPool[] {
  const byNodes = new Map<string, (Proposal & { readonly of: Network })[]>();
  for (const made of proposals) {
    const nodes = JSON.stringify(hostNames(made.of));
    byNodes.set(nodes, [...(byNodes.get(nodes) ?? []), made]);
  }
  return [...byNodes.values()].map((members, index): ProposedPool => {
    const [first] = members;
    const nodeSelectors =
      byNodes.size === 1 || first === undefined
        ? {}
        : {
            nodeSelectors: [
              {
                matchExpressions: [
                  { key: 'kubernetes.io/hostname', operator: 'In', values: hostNames(first.of) },
                ],
              },
            ],
          };
    return {
      pool: {
        apiVersion: 'sluice.dev/v1alpha1',
        kind: 'AddressPool',
        metadata: { name: index === 0 ? 'first' : `first-${index + 1}` },
        spec: { addresses: members.map(({ range }) => range), ...nodeSelectors },
      },
      reasons: members.flatMap(({ range, reasons }) => reasons.map((reason) => `${range}: ${reason}`)),
      checks: [...new Set(members.flatMap(({ checks }) => checks))],
    };
  });
}

function hostNames({ nodes }: Network): readonly string[] {
  return [...new Set(nodes.map(({ labels, name }) => labels['kubernetes.io/hostname'] ?? name))].toSorted();
}

function textOf({ pool, reasons, checks }: ProposedPool): string {
  return `---\n# A proposal, not applied.\n${comment('Why these:', reasons)}${comment('Before you apply it:', checks)}${stringify(pool)}`;
}

function comment(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `# ${title}\n${lines.map((line) => `#   - ${line}\n`).join('')}`;
}

function one(text: string, what: string): readonly KnownUse[] {
  const address = parseAddress(text);
  return address === undefined
    ? []
    : [{ family: address.family, first: address.value, last: address.value, what }];
}

/** Everything that is known to be somebody's. */
function usesOf(
  { nodes, services, pools }: Picture,
  here: readonly MachineAddress[],
  gateways: readonly string[],
): readonly KnownUse[] {
  return [
    ...nodes.flatMap(({ name, internalIPs, externalIPs }) =>
      [...internalIPs, ...externalIPs].flatMap((ip) => one(ip, `node ${name}`)),
    ),
    ...here.flatMap(({ address }) => one(address, 'this machine')),
    ...gateways.flatMap((gateway) => one(gateway, `gateway ${gateway}`)),
    ...services.flatMap(({ key, ingress, clusterIPs }) => [
      ...ingress.flatMap(({ ip }) => (ip === undefined ? [] : one(ip, `Service ${key}`))),
      ...clusterIPs.flatMap((ip) => one(ip, `Service ${key}`)),
    ]),
    ...[
      ...pools.map(({ name, addresses }) => [`pool ${name}`, addresses] as const),
      ...nodes.map(({ name, podCIDRs }) => [`Pods of node ${name}`, podCIDRs] as const),
    ].flatMap(([what, ranges]) =>
      ranges.flatMap((text) => {
        const parsed = parseRange(text);
        return parsed.kind === 'malformed' ? [] : [{ ...parsed.range, what }];
      }),
    ),
  ];
}

async function pictureOf(flags: ProposeFlags, shell: Shell): Promise<Picture | undefined> {
  if (flags.file.length > 0) {
    const { nodes, services, pools, mistakes } = await readManifests(flags.file);
    for (const mistake of mistakes) shell.err(`${paint(shell, 'red', 'error:')} ${mistake}\n`);
    return mistakes.length > 0 ? undefined : { nodes, services, pools, unread: [] };
  }
  const api = await connectBy(flags);
  try {
    const intern = makeIntern();
    const nodes = (await items(api, '/api/v1/nodes')).map((raw) => slimNode(raw, intern));
    const unread: string[] = [];
    const rest = async (path: string, what: string): Promise<readonly RawObject[]> => {
      try {
        return await items(api, path);
      } catch (error) {
        if (!isSluiceError(error)) throw error;
        // Pools are not installed where this is the first one.
        if (error.kind !== 'gone') unread.push(`${what} were not read, and may be in use: ${error.message}`);
        return [];
      }
    };
    const services = (await rest('/api/v1/services', 'Services')).map((raw) => slimService(raw, intern));
    const pools = (await rest(poolsPath, 'AddressPools')).map((raw) => slimPool(raw));
    return { nodes, services, pools, unread };
  } finally {
    await api.close();
  }
}

async function items(api: Api, path: string): Promise<readonly RawObject[]> {
  const answer = (await api.request('GET', path)) as { readonly items?: readonly RawObject[] };
  return answer.items ?? [];
}
