/**
 * Which of the two iptables this machine uses, and what it can do.
 *
 * The kernel keeps the rules of the legacy and the nft variant apart and runs both, so a packet that meets rules of one
 * Service in both is translated twice: whoever is there already decides, and never are both used by us.
 */
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import { sameAddress } from './bytecode.ts';
import type { Abilities } from './layout.ts';
import { chain, prefix } from './names.ts';
import { program, run, saveTables, type Refusal, type Spawn, type Tools, type Variant } from './programs.ts';
import type { SavedTables } from './saved.ts';

export interface Detected {
  readonly variant: Variant;
  /** Why, for the log. */
  readonly reason: string;
}

/**
 * Looks for our own chains first, then for the chains by which the kubelet marks its variant, then for anybody's rules.
 *
 * @throws SluiceError invalid where neither variant is installed.
 */
export async function detectVariant(spawn: Spawn, family: IpFamily): Promise<Detected> {
  const [legacy, nft] = await Promise.all([
    tablesOf(spawn, 'legacy', family),
    tablesOf(spawn, 'nft', family),
  ]);
  if (legacy === undefined && nft === undefined) {
    throw new SluiceError(
      'invalid',
      `neither ${program('nft', family, '')} nor ${program('legacy', family, '')} can be run: install iptables, or use the nftables backend`,
      { code: 'ToolMissing', action: 'iptables' },
    );
  }
  if (nft === undefined) return { variant: 'legacy', reason: 'only the legacy variant is installed' };
  if (legacy === undefined) return { variant: 'nft', reason: 'only the nft variant is installed' };
  const signs: readonly (readonly [RegExp, string])[] = [
    [new RegExp(`^:${prefix}`, 'm'), 'it holds our chains already'],
    [/^:KUBE-(IPTABLES-HINT|KUBELET-CANARY) /m, "it holds the kubelet's hint"],
    [/^:KUBE-/m, 'it holds chains of Kubernetes'],
    [/^-A /m, 'it holds rules'],
  ];
  for (const [sign, reason] of signs) {
    if (sign.test(nft)) return { variant: 'nft', reason };
    if (sign.test(legacy)) return { variant: 'legacy', reason };
  }
  return { variant: 'nft', reason: 'neither variant holds rules' };
}

/** Undefined where the variant is not there or the kernel has no such tables. */
async function tablesOf(spawn: Spawn, variant: Variant, family: IpFamily): Promise<string | undefined> {
  try {
    return await saveTables(spawn, variant, family);
  } catch (error) {
    if (error instanceof SluiceError && error.kind === 'denied') throw error;
    return undefined;
  }
}

/**
 * What tool and kernel can do, asked by a chain that nothing leads to and that is gone at once. Where our rules stand
 * already they tell, and nothing is written.
 *
 * @param saved the rules that the kernel holds.
 * @throws SluiceError invalid where something is missing that there is no way around.
 */
export async function probe(spawn: Spawn, tools: Tools, saved: SavedTables): Promise<Abilities> {
  const { variant, family } = tools;
  const ours = saved.chains.get(`nat ${chain.postrouting}`)?.rules() ?? [];
  if (ours.some((line) => line.includes('MASQUERADE'))) {
    return {
      randomFully: ours.some((line) => line.includes('--random-fully')),
      bpf: ours.some((line) => line.includes('-m bpf')),
    };
  }
  const takes = (rule: string): Promise<Refusal | undefined> =>
    tools.restore(
      `*nat\n:${trial} - [0:0]\n-A ${trial} ${rule}\nCOMMIT\n*nat\n:${trial} - [0:0]\n-X ${trial}\nCOMMIT\n`,
    );
  const needed =
    '-p tcp -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW -m statistic --mode random --probability 0.5';
  const plain = await takes(`${needed} -j MASQUERADE`);
  if (plain !== undefined) {
    throw new SluiceError(
      'invalid',
      `the kernel or ${program(variant, family, '')} lacks what is needed: ${plain.message}`,
      {
        code: 'KernelLacks',
        action: program(variant, family, '-restore'),
      },
    );
  }
  const sets = await run(spawn, 'ipset', ['list', '-n']);
  if (sets.code !== 0) {
    throw new SluiceError('invalid', `ipset does not work here (kernel module ip_set): ${sets.error}`, {
      code: 'KernelLacks',
      action: 'ipset',
    });
  }
  const random = await takes('-j MASQUERADE --random-fully');
  const bpf = await takes(`-m bpf --bytecode "${sameAddress(family)}" -j RETURN`);
  return { randomFully: random === undefined, bpf: bpf === undefined };
}

const trial = 'SLUICE-PROBE';
