/** From the settings file to what the controller is told. */
import type { ProviderName } from '../core/provider.ts';
import type { ControllerOptions } from './context.ts';

/** The part of the settings that concerns the controller, in the shape of the file. */
export interface ControllerSection {
  readonly defaultProvider: ProviderName | undefined;
  readonly claimClassless: boolean;
  readonly classes: Readonly<Record<ProviderName, readonly string[]>>;
  readonly publish: 'active' | 'early';
  readonly drift: {
    readonly policy: 'correct' | 'report';
    readonly surveyEvery: number;
    readonly fullEvery: number;
  };
  readonly guard: {
    readonly sharePercent: number;
    readonly least: number;
    readonly window: number;
    readonly checks: number;
    readonly span: number;
  };
  readonly strays: 'remove' | 'report';
}

export function controllerOptions(
  section: ControllerSection,
  configured: readonly ProviderName[],
  neighbour?: () => string | undefined,
): ControllerOptions {
  const only = configured.length === 1 ? configured[0] : undefined;
  return {
    claim: {
      providers: configured,
      defaultProvider: section.defaultProvider ?? only,
      classes: section.classes,
      claimClassless: section.claimClassless,
      ...(neighbour === undefined ? {} : { neighbour }),
    },
    guard: {
      share: section.guard.sharePercent / 100,
      least: section.guard.least,
      windowMs: section.guard.window,
      checks: section.guard.checks,
      spanMs: section.guard.span,
    },
    publishEarly: section.publish === 'early',
    driftPolicy: section.drift.policy,
    strays: section.strays,
    fullEveryMs: section.drift.fullEvery,
    surveyEveryMs: section.drift.surveyEvery,
  };
}
