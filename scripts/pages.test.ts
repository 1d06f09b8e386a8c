/** The hand-written pages and the alert rules: what they point at is there. */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { reasons } from '../src/core/reasons.ts';
import { metricTable } from '../src/observe/metric-table.ts';
import { root } from './run.ts';
import { documents, files, one, text } from './tree.ts';

describe('the alert rules', () => {
  interface AlertRule {
    readonly alert: string;
    readonly expr: string;
    readonly labels: { readonly severity: string };
    readonly annotations: { readonly summary: string; readonly runbook: string };
  }
  const file = one(documents('manifests/alerts.yaml')) as {
    readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
  };
  const alerts = file.groups.flatMap((group) => group.rules);

  test.each(alerts)('$alert has a severity, a summary and a heading that says what to do', (rule) => {
    expect(['critical', 'warning']).toContain(rule.labels.severity);
    expect(rule.annotations.summary).not.toBe('');
    expect(rule.annotations.runbook).toBe(`docs/operations.md#${rule.alert.toLowerCase()}`);
    expect(text('docs/operations.md')).toMatch(new RegExp(`^### ${rule.alert}$`, 'mu'));
  });

  test('they ask for metrics, labels and reasons that there are', () => {
    const metrics = new Map<string, readonly string[]>(
      Object.values(metricTable).map(({ name, labels }) => [name, labels]),
    );
    for (const { alert, expr } of alerts) {
      const asked = [...expr.matchAll(/\b(sluice_[a-z_]+|service_controller_[a-z_]+)(?:\{([^}]*)\})?/gu)];
      expect(asked.length, alert).toBeGreaterThan(0);
      for (const [, name = '', selector = ''] of asked) {
        expect([...metrics.keys()], alert).toContain(name);
        const labels = [...selector.matchAll(/([a-z_]+)=~?"/gu)].map(([, label]) => label);
        expect(metrics.get(name), alert).toEqual(expect.arrayContaining(labels));
        const named = /reason=~?"([^"]*)"/u.exec(selector)?.[1]?.split('|') ?? [];
        expect(Object.keys(reasons), alert).toEqual(expect.arrayContaining(named));
      }
    }
  });
});

/** The anchors that GitHub makes of the headings of a page. */
function headingsOf(page: string): readonly string[] {
  return [...text(page).matchAll(/^#+ (.+)$/gmu)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the pages', () => {
  const pages = ['README.md', ...files('docs/*.md')];
  /** Made by scripts; whether they are up to date is the business of those scripts. */
  const generated = /^(?:docs\/reference\/|providers\/[a-z]+\/README\.md)/u;

  test.each(pages)('%s links to files and headings that exist', (page) => {
    const targets = [...text(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/gu)].map(
      ([, target]) => target ?? '',
    );
    const broken = targets.filter((target) => {
      const [path = '', heading] = target.split('#');
      const file = path === '' ? page : relative(root, join(root, dirname(page), path));
      if (generated.test(file)) return false;
      if (!existsSync(join(root, file))) return true;
      return heading !== undefined && !headingsOf(file).includes(heading);
    });
    expect(broken).toEqual([]);
  });
});
