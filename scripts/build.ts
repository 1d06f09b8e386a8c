/**
 * `npm run build`: the program as plain JavaScript in `dist/`, for the published package and the container.
 *
 * One entry, `dist/sluice.js`; each command and each provider is a chunk of its own that is loaded only when
 * it is asked for, so that a node agent does not pay for a cloud's SDK. ES modules are preferred over
 * CommonJS in the dependencies: a dynamic import of a CommonJS copy would lose its named exports.
 *
 * Assets (the Go module of the sandbox, the manifests) are not bundled: the package ships them as files,
 * at the same place relative to its root as in a checkout. All code ends up in `dist/chunks/`, which is as
 * deep as `src/<folder>/`: there `new URL('../../', import.meta.url)` is the package's root in both forms.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';
import { root } from './run.ts';

/** Where Alibaba Cloud's packages call `url.parse`. */
const oldParsers =
  /node_modules\/(?:httpx\/lib|@darabonba\/typescript\/dist|@alicloud\/tea-typescript\/dist)\//u;

/**
 * `url.parse` warns users of its deprecation (DEP0169) where it is not called from `node_modules`, and bundled code
 * is not. In these packages, and nowhere else, it is the same parser without the warning.
 */
const quietOldParsers: Plugin = {
  name: 'quiet-old-parsers',
  setup(setup) {
    setup.onResolve({ filter: /^url$/ }, ({ importer }) =>
      oldParsers.test(importer) ? { path: 'url', namespace: 'quiet-old-parsers' } : undefined,
    );
    setup.onLoad({ filter: /.*/, namespace: 'quiet-old-parsers' }, () => ({
      contents: `
        const url = require('node:url');
        module.exports = { ...url, parse: (text, query, slashes) => {
          const parsed = new url.Url();
          parsed.parse(text, query, slashes);
          return parsed;
        } };`,
      loader: 'js',
    }));
  },
};

/**
 * undici's entry loads all that there is of it (fetch, WebSocket, mocks, caches …) before a command has asked its first
 * question. This is the part that we use, of the same sources.
 */
const littleUndici: Plugin = {
  name: 'little-undici',
  setup(setup) {
    setup.onLoad({ filter: /node_modules\/undici\/index\.js$/ }, ({ path }) => ({
      resolveDir: dirname(path),
      contents: `
        const Dispatcher = require('./lib/dispatcher/dispatcher');
        Object.assign(Dispatcher.prototype, require('./lib/api'));
        module.exports = {
          Agent: require('./lib/dispatcher/agent'),
          ProxyAgent: require('./lib/dispatcher/proxy-agent'),
          Socks5ProxyAgent: require('./lib/dispatcher/socks5-proxy-agent'),
        };`,
      loader: 'js',
    }));
  },
};

/**
 * An ES import of `node:http` asks for everything that it exports, `WebSocket` among it, and for that Node loads an undici
 * of its own, before a command has asked its first question. `require` asks for nothing.
 */
const lazyHttp: Plugin = {
  name: 'lazy-http',
  setup(setup) {
    setup.onResolve({ filter: /^node:http$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'lazy-http' } : undefined,
    );
    setup.onLoad({ filter: /.*/, namespace: 'lazy-http' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
      loader: 'js',
    }));
  },
};

/** The options of the bundle; `outdir` is a parameter so that the test does not touch `dist/`. */
export function bundleOptions(outdir: string): BuildOptions & { readonly metafile: true } {
  return {
    absWorkingDir: root,
    entryPoints: { 'chunks/sluice': 'src/main.ts' },
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Not the identifiers: class and function names are part of error messages and of prom-client's and the SDKs'
    // behaviour, and `keepNames` would define a property at every closure that is made (7 % of the controller's CPU).
    minifyWhitespace: true,
    minifySyntax: true,
    // An uncaught error prints the line that it comes from.
    lineLimit: 200,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    mainFields: ['module', 'main'],
    conditions: ['module', 'import', 'node'],
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [quietOldParsers, littleUndici, lazyHttp],
    metafile: true,
    logLevel: 'warning',
    // CommonJS dependencies call `require` for Node's own modules.
    banner: {
      js: "import { createRequire as sluiceRequire } from 'node:module'; const require = sluiceRequire(import.meta.url);",
    },
  };
}

/** Builds the program into `outdir`. */
export async function bundle(outdir: string): Promise<readonly Output[]> {
  const { metafile } = await build(bundleOptions(outdir));
  writeFileSync(resolve(root, outdir, 'sluice.js'), "import './chunks/sluice.js';\n");
  return outputsOf(metafile);
}

export interface Output {
  readonly path: string;
  readonly bytes: number;
  /** What is loaded at once, before any dynamic import. */
  readonly atStart: boolean;
  /** The source files that it holds, from the root of the checkout. */
  readonly inputs: readonly string[];
}

/** The JavaScript files of a build, the largest first. */
function outputsOf(metafile: Metafile): readonly Output[] {
  const files = Object.entries(metafile.outputs).filter(([path]) => path.endsWith('.js'));
  const start = new Set<string>();
  const open = files.filter(([, { entryPoint }]) => entryPoint === 'src/main.ts').map(([path]) => path);
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (start.has(path)) continue;
    start.add(path);
    const imports = metafile.outputs[path]?.imports ?? [];
    open.push(...imports.filter(({ kind }) => kind === 'import-statement').map((each) => each.path));
  }
  return files
    .map(([path, { bytes, inputs }]) => ({
      path,
      bytes,
      atStart: start.has(path),
      inputs: Object.keys(inputs),
    }))
    .toSorted((a, b) => b.bytes - a.bytes);
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} kB`.padStart(12);
}

if (import.meta.main) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const outputs = await bundle('dist');
  const sum = (list: readonly Output[]): number => list.reduce((total, { bytes }) => total + bytes, 0);
  for (const { path, bytes, atStart } of outputs) {
    console.log(`${kilobytes(bytes)}  ${path}${atStart ? '  (at start)' : ''}`);
  }
  console.log(`${kilobytes(sum(outputs.filter((each) => each.atStart)))}  loaded at start`);
  console.log(`${kilobytes(sum(outputs))}  in all`);
}
