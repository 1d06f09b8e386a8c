/** Whose fault a refusal of the tools is, and the errors where it is nobody's. */
import { SluiceError } from '../../core/errors.ts';
import type { IpFamily } from '../../core/objects.ts';
import type { DecisionKey } from '../decision.ts';
import type { Model } from './model.ts';
import type { SetName } from './names.ts';
import type { Refusal } from './programs.ts';
import type { SavedSet } from './saved.ts';
import { createSet } from './text.ts';

/** Finds the decision that a line of a restore was written for: slow, and only asked after a refusal. */
export function ownerOf(model: Model, line: string): DecisionKey | undefined {
  const [, rule] = /^(?:-A \S+ |add \S+ )(.*)$/.exec(line) ?? [];
  const declared = /^(?:-A |:)(\S+)/.exec(line)?.[1];
  for (const key of model.decisions.keys()) {
    const { rules, members } = model.describe(key);
    if (rules.includes(line)) return key;
    if (
      declared !== undefined &&
      rules.some((text) => text.startsWith(`-A ${declared} `)) &&
      !/^SLUICE-(DST|NP|DROP)/.test(declared)
    ) {
      return key;
    }
    if (line.startsWith('add ') && members.some(([, entry]) => entry === rule)) return key;
  }
  return undefined;
}

export function rulesRefused(refusal: Refusal, line: string | undefined): SluiceError {
  const what = line === undefined ? '' : ` (line "${line}")`;
  return new SluiceError('invalid', `the kernel's tools refused the rules${what}: ${refusal.message}`, {
    code: 'RulesRefused',
    cause: refusal,
  });
}

export function wrongType(family: IpFamily, name: SetName, held: SavedSet): SluiceError {
  return new SluiceError(
    'conflict',
    `an ipset of this name has another type (${held.type}); run "sluice agent --cleanup" or destroy it. Wanted: ${createSet(family, name)}`,
    { code: 'IpsetType' },
  );
}
