/** The policy for AWS: what the provider calls and nothing else, on nothing but what bears our mark. */
import { describe, expect, test } from 'vitest';
import { operations } from '../providers/aws/operations.ts';
import { text } from './tree.ts';

describe('the policy for AWS', () => {
  interface Statement {
    readonly Sid: string;
    readonly Action: string | readonly string[];
    readonly Resource: string | readonly string[];
    readonly Condition?: Readonly<Record<string, object>>;
  }
  const policy = JSON.parse(text('manifests/aws/iam-policy.json')) as {
    readonly Statement: readonly Statement[];
  };
  const actionsOf = ({ Action }: Statement): readonly string[] => [Action].flat();

  test('it allows what the provider can call, all of it and no more', () => {
    const allowed = new Set(policy.Statement.flatMap(actionsOf));
    const called = Object.keys(operations).map((operation) => `elasticloadbalancing:${operation}`);
    expect([...allowed].toSorted()).toEqual(called.toSorted());
  });

  test('it allows actions of Elastic Load Balancing only, each by its full name', () => {
    const odd = policy.Statement.flatMap(actionsOf).filter(
      (action) => !/^elasticloadbalancing:[A-Z][A-Za-z]+$/u.test(action),
    );
    expect(odd).toEqual([]);
  });

  test('whatever changes something is bound to our mark, on named kinds of resources', () => {
    for (const statement of policy.Statement) {
      if (actionsOf(statement).every((action) => action.includes(':Describe'))) continue;
      expect(JSON.stringify(statement.Condition), statement.Sid).toMatch(
        /"aws:(?:Request|Resource)Tag\/sluice\.dev\/cluster":"false"/u,
      );
      expect(statement.Resource, statement.Sid).not.toContain('*');
    }
  });

  test('it fits into a managed policy, which may have 6144 characters without blanks', () => {
    expect(JSON.stringify(policy).length).toBeLessThan(6144);
  });
});
