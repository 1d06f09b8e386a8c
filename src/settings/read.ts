/**
 * Reads the one settings file in full: YAML to settings with all defaults, and every mistake at once, each
 * with file, line, column, field, what is wrong and the cure.
 *
 * The same file serves `controller --config`, `plan -f` and the ConfigMap of the manifests. A provider's
 * section is opaque here; the provider validates it with a function that it hands in.
 */
import { isCollection, isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Document, YAMLMap } from 'yaml';
import type { Problem } from '../core/problems.ts';
import type { ProviderName } from '../core/provider.ts';
import { fieldOf, quote, readMapping, reportUnknown } from '../core/schema.ts';
import type { Path, Report } from '../core/schema.ts';
import { apiVersion, kind, providerNames, sections } from './table.ts';

export type ClusterSettings = (typeof sections.cluster)['standard'];
export type ControllerSettings = (typeof sections.controller)['standard'];

export interface Settings {
  readonly cluster: ClusterSettings;
  readonly controller: ControllerSettings;
  /** What each configured provider's own check made of its section. */
  readonly providers: ReadonlyMap<ProviderName, unknown>;
}

/** A problem with its place in the file. */
export interface FileProblem extends Problem {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
}

/**
 * A provider's own validation of its section: plain data in, settings and all problems out. `field` is what
 * the section is called (`providers.aws`); the fields of the problems begin with it.
 */
export type ProviderCheck = (
  section: unknown,
  field: string,
) => { readonly settings: unknown; readonly problems: readonly Problem[] };

export type ProviderChecks = Readonly<Partial<Record<ProviderName, ProviderCheck>>>;

export interface ReadSettings {
  /** Complete even when there are problems: what could not be used has its default. */
  readonly settings: Settings;
  readonly problems: readonly FileProblem[];
}

function pathOf(fieldText: string): Path {
  return [...fieldText.matchAll(/\[(\d+)\]|\["([^"]+)"\]|([^.[\]]+)/gu)].map(
    ([, index, quoted, name]) => quoted ?? name ?? Number(index),
  );
}

function pairOf(map: YAMLMap, key: string | number) {
  return map.items.find((pair) => (isScalar(pair.key) ? pair.key.value : pair.key) === key);
}

/** Offset of the deepest part of the path that the file has: the key of a field, or an item of a list. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const part of path) {
    if (isMap(node)) {
      const pair = pairOf(node, part);
      if (pair === undefined) break;
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isCollection(node)) {
      node = node.get(part, true);
      if (!isCollection(node) && !isScalar(node)) break;
      offset = node.range?.[0] ?? offset;
    } else {
      break;
    }
  }
  return offset;
}

/** Sections, the identity of the file and what follows only from several fields together. */
function readSections(
  content: unknown,
  checks: ProviderChecks,
  report: Report,
  add: (problem: Problem) => void,
) {
  const root = readMapping(content, [], report);
  if (root['apiVersion'] !== apiVersion) {
    report(['apiVersion'], `apiVersion is ${quote(root['apiVersion'])}`, `Write apiVersion: ${apiVersion}`);
  }
  if (root['kind'] !== kind) report(['kind'], `kind is ${quote(root['kind'])}`, `Write kind: ${kind}`);
  reportUnknown(root, ['apiVersion', 'kind', 'providers', ...Object.keys(sections)], [], report);

  const cluster = sections.cluster.read(root['cluster'], ['cluster'], report);
  const controller = sections.controller.read(root['controller'], ['controller'], report);

  const providerSections = readMapping(root['providers'], ['providers'], report);
  reportUnknown(providerSections, providerNames, ['providers'], report);
  const providers = new Map<ProviderName, unknown>();
  for (const name of providerNames) {
    if (!Object.hasOwn(providerSections, name)) continue;
    const check = checks[name];
    if (check === undefined) {
      report(['providers', name], `this version of Sluice has no provider ${name}`, 'Remove the section');
      continue;
    }
    const { settings, problems } = check(providerSections[name] ?? {}, `providers.${name}`);
    problems.forEach(add);
    providers.set(name, settings);
  }
  return { cluster, controller, providers };
}

function checkTogether(settings: Settings, report: Report): void {
  const { controller, providers } = settings;
  const configured = [...providers.keys()];
  if (configured.length === 0) {
    report(
      ['providers'],
      'no provider is configured',
      `Add a section for one of ${providerNames.join(', ')}`,
    );
  }
  const standard = controller.defaultProvider;
  if (standard !== undefined && !providers.has(standard)) {
    report(
      ['controller', 'defaultProvider'],
      `${quote(standard)} is not configured under providers`,
      `Add providers.${standard}, or choose one of ${configured.join(', ') || 'those that you add'}`,
    );
  }
  if (standard === undefined && controller.claimClassless && configured.length > 1) {
    report(
      ['controller', 'defaultProvider'],
      `${configured.join(' and ')} are configured, and none is the default for Services without a class`,
      'Name one of them, or set claimClassless: false',
    );
  }
  const owners = new Map<string, ProviderName>(providerNames.map((name) => [`sluice.dev/${name}`, name]));
  for (const name of providerNames) {
    for (const className of controller.classes[name]) {
      const other = owners.get(className);
      if (other !== undefined) {
        const whose = other === name ? 'is its own already' : `is a class of provider ${other} already`;
        report(['controller', 'classes', name], `class "${className}" ${whose}`, 'Remove it here');
      }
      owners.set(className, name);
    }
  }
}

/** Only one provider, and none named: it is the default. */
function settled(settings: Settings): Settings {
  const only = settings.providers.size === 1 ? [...settings.providers.keys()][0] : undefined;
  const defaultProvider = settings.controller.defaultProvider ?? only;
  return { ...settings, controller: { ...settings.controller, defaultProvider } };
}

function problemAt(path: Path, message: string, cure: string): Problem {
  return {
    severity: 'error',
    reason: 'InvalidConfig',
    field: fieldOf(path) || '(the whole file)',
    message,
    cure,
  };
}

/** Reads a settings file's text. `file` is what it is called in messages. */
export function readSettings(text: string, file: string, checks: ProviderChecks): ReadSettings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  return readSettingsDocument(document, lines, file, checks);
}

/** The same for one document of a file that holds several, as `plan -f` reads them. */
export function readSettingsDocument(
  document: Document,
  lines: LineCounter,
  file: string,
  checks: ProviderChecks,
): ReadSettings {
  const problems: FileProblem[] = [];
  const place = (problem: Problem, offset: number): void => {
    const { line, col } = lines.linePos(offset);
    problems.push({ ...problem, file, line: Math.max(1, line), column: Math.max(1, col) });
  };
  for (const error of document.errors) {
    place(problemAt([], `not valid YAML: ${error.message}`, 'Correct the syntax'), error.pos[0]);
  }
  // Half a document would bring problems that are not there.
  const content: unknown = document.errors.length > 0 ? undefined : document.toJS();
  const broken = document.errors.length > 0;
  const report: Report = (path, message, cure) => {
    if (!broken) place(problemAt(path, message, cure), offsetOf(document, path));
  };
  const add = (problem: Problem): void => place(problem, offsetOf(document, pathOf(problem.field)));
  const settings = readSections(content, checks, report, add);
  checkTogether(settings, report);
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  return { settings: settled(settings), problems };
}

/** `sluice.yaml:7:3: controller.workers: "x" is not …; Write a number`. */
export function describeFileProblem(problem: FileProblem): string {
  const { file, line, column, field, message, cure } = problem;
  return `${file}:${line}:${column}: ${field}: ${message}; ${cure.charAt(0).toLowerCase()}${cure.slice(1)}`;
}
