/**
 * `npm run pack`: the published package as a tarball, `sluice-VERSION.tgz`, in the root of the checkout.
 *
 * The bundle holds everything that runs, so the package has no dependencies at all: neither the libraries
 * nor the Node that a checkout brings along reach a user. Sources of the sandbox's Go module, manifests and
 * examples go along as files. The checkout itself is marked private, so that it is not published by mistake.
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './run.ts';

type Manifest = Readonly<Record<string, unknown>> & { readonly files: readonly string[] };

/** What a user of the package has no use for. */
const leftOut = ['private', 'scripts', 'dependencies', 'devDependencies', 'optionalDependencies'];

/** package.json of the published package. */
export function publishedManifest(manifest: Manifest): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(manifest).filter(([key]) => !leftOut.includes(key)));
}

async function must(command: string, args: readonly string[]): Promise<string> {
  const { code, output } = await run(command, args, { limitMs: 300_000 });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output}`);
  return output;
}

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-pack-'));
  try {
    await must('node', ['scripts/build.ts']);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
    for (const path of manifest.files) {
      if (existsSync(join(root, path))) cpSync(join(root, path), join(folder, path), { recursive: true });
    }
    writeFileSync(
      join(folder, 'package.json'),
      `${JSON.stringify(publishedManifest(manifest), undefined, 2)}\n`,
    );
    console.log((await must('npm', ['pack', folder, '--ignore-scripts'])).trimEnd());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
