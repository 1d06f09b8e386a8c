/** The import directions of the architecture, judged on the whole tree. */
import { describe, expect, test } from 'vitest';
import { findCycle, importsOf, readGraph, reachable } from './imports.ts';
import type { Import } from './imports.ts';

const graph = readGraph();
const edges = [...graph].flatMap(([from, imports]) => imports.map((each) => ({ from, ...each })));

/** Edges that leave `from` and end in neither of `allowed`, as readable lines. */
function strangers(from: RegExp, allowed: readonly RegExp[]): readonly string[] {
  return edges
    .filter((edge) => from.test(edge.from) && !allowed.some((pattern) => pattern.test(edge.to)))
    .map((edge) => `${edge.from} imports ${edge.to}`);
}

/** Edges that load `to` from anywhere but `doors`. */
function besideDoors(to: RegExp, doors: readonly RegExp[]): readonly string[] {
  return edges
    .filter((edge) => !edge.types && to.test(edge.to) && !doors.some((pattern) => pattern.test(edge.from)))
    .map((edge) => `${edge.from} imports ${edge.to}`);
}

/** Static imports of these names. */
function statics(...names: readonly string[]): readonly Import[] {
  return names.map((name) => ({ to: name, dynamic: false, types: false }));
}

const builtin = /^node:/;
const core = /^src\/core\//;
const kube = /^src\/kube\//;
const simulator = /^providers\/[^/]+\/simulator\//;

describe('import directions', () => {
  test('core imports nothing but itself and two pure built-ins', () => {
    expect(strangers(core, [core, /^node:(crypto|net)$/])).toEqual([]);
  });

  test('a provider imports core and itself, never another provider or the Kubernetes door', () => {
    for (const name of ['aws', 'alibaba', 'local']) {
      const own = new RegExp(`^providers/${name}/`);
      const sdk = /^@(aws-sdk|smithy|alicloud)\//;
      expect(strangers(own, [own, core, builtin, sdk, /^undici$/])).toEqual([]);
    }
  });

  test('kube imports core, and the libraries that it speaks to the API server with', () => {
    expect(strangers(kube, [kube, core, builtin, /^(@kubernetes\/client-node|undici|yaml)$/])).toEqual([]);
  });

  test('controller and agent import core and kube, not each other', () => {
    for (const own of [/^src\/controller\//, /^src\/agent\//]) {
      expect(strangers(own, [own, core, kube, builtin])).toEqual([]);
    }
  });

  test('settings and observe stand on core alone', () => {
    const own = /^src\/(observe|settings)\//;
    expect(strangers(own, [own, core, builtin, /^(yaml|pino|prom-client)$/])).toEqual([]);
  });

  test("a cloud's SDK is loaded by the provider's client and its simulator only; others may use its types", () => {
    const doors = [/^providers\/[^/]+\/client/, simulator];
    const sdk = /^@(aws-sdk|smithy|alicloud)\//;
    expect(besideDoors(sdk, doors)).toEqual([]);
    expect(strangers(/^src\//, [/^(?!@(aws-sdk|smithy|alicloud)\/)/])).toEqual([]);
  });

  test('the Kubernetes client library is imported by kube only', () => {
    expect(besideDoors(/^@kubernetes\//, [kube])).toEqual([]);
  });

  test('nothing that runs in a cluster loads the sandbox or a simulator, not even through others', () => {
    const running = [...graph.keys()].filter(
      (file) =>
        /^src\/(main\.ts|core\/|kube\/|controller\/|agent\/|observe\/|settings\/)/.test(file) ||
        /^src\/commands\/(?!sandbox|demo)/.test(file) ||
        (file.startsWith('providers/') && !simulator.test(file)),
    );
    const loaded = running.flatMap((file) =>
      [...reachable(graph, file)]
        .filter((to) => to.startsWith('src/sandbox/') || simulator.test(to))
        .map((to) => `${file} loads ${to}`),
    );
    expect(loaded).toEqual([]);
  });

  test('no file imports itself through others', () => {
    expect(findCycle(graph)).toBeUndefined();
  });

  test('every relative import names a file that exists in the tree', () => {
    const missing = edges.filter((edge) => /^(src|providers)\/.*\.ts$/.test(edge.to) && !graph.has(edge.to));
    expect(missing).toEqual([]);
  });
});

describe('reading import lines', () => {
  test('finds every form of import and no comment', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { B } from '../b.ts';",
      "import './effect.ts';",
      'import {\n  c,\n  d,\n} from "nothing";',
      "import {\n  e,\n  f,\n} from 'node:fs';",
      "export { g } from './g.ts';",
      "const h = await import('./h.ts');",
      "// import { i } from './i.ts';",
      "/* import { j } from './j.ts'; */",
    ].join('\n');
    expect(importsOf('src/core/x.ts', text)).toEqual([
      { to: 'src/core/a.ts', dynamic: false, types: false },
      { to: 'src/b.ts', dynamic: false, types: true },
      { to: 'src/core/effect.ts', dynamic: false, types: false },
      { to: 'node:fs', dynamic: false, types: false },
      { to: 'src/core/g.ts', dynamic: false, types: false },
      { to: 'src/core/h.ts', dynamic: true, types: false },
    ]);
  });

  test('finds a cycle, and does not mistake a diamond or a dynamic import for one', () => {
    const diamond = new Map<string, readonly Import[]>([
      ['a', statics('b', 'c')],
      ['b', statics('d')],
      ['c', statics('d')],
      ['d', [{ to: 'a', dynamic: true, types: false }]],
    ]);
    expect(findCycle(diamond)).toBeUndefined();
    expect(findCycle(new Map([...diamond, ['d', statics('b')]]))).toEqual(['b', 'd', 'b']);
  });

  test('follows static imports only when it asks what is loaded', () => {
    const graphOfThree = new Map<string, readonly Import[]>([
      ['a', [{ to: 'b', dynamic: false, types: false }]],
      ['b', [{ to: 'c', dynamic: true, types: false }]],
      ['c', []],
    ]);
    expect([...reachable(graphOfThree, 'a')].toSorted()).toEqual(['a', 'b']);
  });
});
