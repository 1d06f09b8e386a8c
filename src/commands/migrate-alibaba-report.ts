/**
 * A take-over as people read it and as scripts do. Pure.
 *
 * The JSON form is a promise (`sluice.dev/v1alpha1` Migration); calls to the cloud have the names and parameters of
 * its API, `PatchService` is a merge patch of the Service.
 */
import type { Plan, Step } from '../core/plan.ts';
import { hasErrors, type Problem } from '../core/problems.ts';
import type { ServiceObject } from '../core/objects.ts';
import { plannedSteps, problemLines, stepLines, type PlannedStep } from './plan-report.ts';
import type { Style } from './shell.ts';

export interface Migration {
  readonly service: ServiceObject;
  readonly balancer: { readonly id: string; readonly name: string; readonly address: string } | undefined;
  /** Everything that will be done, in order; none where it is left. */
  readonly steps: readonly Step[];
  /** What a controller of ours would do in its first pass afterwards. */
  readonly first: Plan;
  readonly problems: readonly Problem[];
}

/** It stays with the other controller. */
export function isLeft({ problems }: Pick<Migration, 'problems'>): boolean {
  return hasErrors(problems);
}

export interface MigrationDocument {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'Migration';
  readonly from: string;
  readonly services: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly outcome: Outcome;
    /** Why it was left or failed; empty otherwise. */
    readonly why: string;
    readonly balancer: NonNullable<Migration['balancer']> | null;
    readonly problems: readonly Problem[];
    readonly steps: readonly PlannedStep[];
    readonly firstPass: readonly PlannedStep[];
  }[];
}

export type Outcome = 'planned' | 'left' | 'done' | 'failed';

export interface Result {
  readonly outcome: Outcome;
  readonly why: string;
}

export function migrationDocument(
  from: string,
  migrations: readonly Migration[],
  results: ReadonlyMap<Migration, Result>,
): MigrationDocument {
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Migration',
    from,
    services: migrations.map((migration) => {
      const { service, balancer, problems, steps, first } = migration;
      const planned: Result = isLeft(migration)
        ? { outcome: 'left', why: problems.find(({ severity }) => severity === 'error')?.message ?? '' }
        : { outcome: 'planned', why: '' };
      const { outcome, why } = results.get(migration) ?? planned;
      return {
        namespace: service.namespace,
        name: service.name,
        outcome,
        why,
        balancer: balancer ?? null,
        problems,
        steps: printed(steps),
        firstPass: printed(first.steps),
      };
    }),
  };
}

export function migrationText(
  { services }: MigrationDocument,
  paint: (style: Style, text: string) => string,
): string {
  const lines: string[] = [];
  for (const { namespace, name, outcome, balancer, problems, steps, firstPass } of services) {
    const where = balancer === null ? '' : `  balancer ${balancer.id} at ${balancer.address}`;
    const left = outcome === 'left' ? paint('yellow', ' stays where it is') : '';
    lines.push(`${paint('bold', `${namespace}/${name}`)}${where}${left}`);
    for (const problem of problems) lines.push(...problemLines(problem, paint));
    for (const step of steps) lines.push(...stepLines(step, paint));
    if (outcome !== 'left') {
      lines.push(
        firstPass.length === 0
          ? '    then: nothing is left to do'
          : `    then, in the first pass: ${firstPass.map(({ operation, subject, reason }) => `${operation} ${subject} (${reason})`).join('; ')}`,
      );
    }
    lines.push('');
  }
  const count = services.filter(({ outcome }) => outcome !== 'left').length;
  const rest = services.length - count;
  const stay = rest === 0 ? '' : `; ${rest} ${rest === 1 ? 'stays where it is' : 'stay where they are'}`;
  lines.push(`${count} ${count === 1 ? 'Service' : 'Services'} to take over${stay}.`);
  return `${lines.join('\n')}\n`;
}

function printed(steps: readonly Step[]): readonly PlannedStep[] {
  return plannedSteps({ plan: { steps, waits: [], problems: [], memory: {} }, held: [] });
}
