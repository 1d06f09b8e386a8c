/** What `sluice verify` finds, as data and as text (pure). The JSON form is a promise. */
import type { IpFamily, ObjectKey } from '../../core/objects.ts';
import type { Backend, Difference } from '../backend.ts';
import type { DecisionKey } from '../decision.ts';

export interface FoundDifference {
  readonly family: IpFamily;
  /** Decided and not in the kernel, in the kernel and not decided, or there in another form. */
  readonly kind: Difference['kind'];
  readonly object: string;
  /** The Service port that it belongs to; null where it belongs to none, or to several. */
  readonly key: DecisionKey | null;
  readonly service: ObjectKey | null;
}

export interface Verification {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'Verification';
  readonly node: string;
  readonly backend: Backend['name'];
  /** Service ports decided on, by family. */
  readonly decisions: Readonly<Partial<Record<IpFamily, number>>>;
  readonly inStep: boolean;
  readonly differences: readonly FoundDifference[];
  readonly notes: readonly string[];
}

export function found(family: IpFamily, { kind, object, key }: Difference): FoundDifference {
  const service = key === undefined ? null : (key.slice(0, key.indexOf(':')) as ObjectKey);
  return { family, kind, object, key: key ?? null, service };
}

/** Those that two looks have in common: what was under way in between is no difference. */
export function lasting(
  first: readonly FoundDifference[],
  second: readonly FoundDifference[],
): readonly FoundDifference[] {
  const text = ({ family, kind, object }: FoundDifference): string => `${family} ${kind} ${object}`;
  const before = new Set(first.map(text));
  return second.filter((one) => before.has(text(one)));
}

/** 0 in step, 2 differences. */
export function verifyExitCode({ inStep }: Pick<Verification, 'inStep'>): 0 | 2 {
  return inStep ? 0 : 2;
}

const words: Readonly<Record<Difference['kind'], string>> = {
  missing: 'missing in the kernel',
  unexpected: 'in the kernel, and not decided',
  different: 'in the kernel in another form',
};

const shownAtMost = 50;

export function verificationText(
  { node, backend, decisions, inStep, differences, notes }: Verification,
  paint: (style: 'bold' | 'green' | 'red' | 'yellow', text: string) => string,
): string {
  const counts = Object.entries(decisions).map(([family, count]) => `${count} ${family}`);
  const head = `${backend} on node ${node}, ${counts.join(' and ')} Service ports`;
  const lines = [
    inStep
      ? `${paint('green', 'in step')}  ${head}`
      : `${paint('red', `${differences.length} ${differences.length === 1 ? 'difference' : 'differences'}`)}  ${head}`,
  ];
  const groups = new Map<string, FoundDifference[]>();
  for (const one of differences.slice(0, shownAtMost)) {
    const at = one.key ?? `no Service in particular (${one.family})`;
    groups.set(at, [...(groups.get(at) ?? []), one]);
  }
  for (const [at, group] of groups) {
    lines.push('', paint('bold', at), ...group.map(({ kind, object }) => `  ${words[kind]}: ${object}`));
  }
  if (differences.length > shownAtMost)
    lines.push('', `… and ${differences.length - shownAtMost} more; --output json has all`);
  if (!inStep)
    lines.push(
      '',
      'A running agent repairs this by itself (--verify-every); where it does not, see its log and the flags: verify must be given the same.',
    );
  for (const note of notes) lines.push('', `${paint('yellow', 'note:')} ${note}`);
  return `${lines.join('\n')}\n`;
}
