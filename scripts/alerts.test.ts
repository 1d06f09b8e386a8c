/** Each alert says how bad it is and leads to a heading that tells what to do. */
import { describe, expect, test } from 'vitest';
import { documents, one, text } from './tree.ts';

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const file = one(documents('manifests/alerts.yaml')) as {
  readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
};

describe('the alert rules', () => {
  test.each(file.groups.flatMap((group) => group.rules))(
    '$alert has a severity, a summary and a heading that says what to do',
    (rule) => {
      expect(['critical', 'warning']).toContain(rule.labels.severity);
      expect(rule.annotations.summary).not.toBe('');
      expect(rule.annotations.runbook).toBe(`docs/operations.md#${rule.alert.toLowerCase()}`);
      expect(text('docs/operations.md')).toMatch(new RegExp(`^### ${rule.alert}$`, 'mu'));
    },
  );
});
