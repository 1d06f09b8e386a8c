/**
 * Where the bed's Go program comes from: built from bed/program into the user's cache, once for each state of its sources.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SluiceError } from '../core/errors.ts';

const sources = fileURLToPath(new URL('../../src/sandbox/bed/program', import.meta.url));
const limitMs = 5 * 60_000;

/** The path of the program, which is built where it is not there yet: a few seconds with Go and only its own library. */
export async function bedProgram(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string> {
  const chosen = env['XDG_CACHE_HOME'];
  const cache = chosen !== undefined && isAbsolute(chosen) ? chosen : join(homedir(), '.cache');
  const folder = join(cache, 'sluice', 'packets');
  const program = join(folder, `bed-${await digest()}`);
  if (existsSync(program)) return program;
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, 'build-'));
  try {
    const made = join(work, 'bed');
    await promisify(execFile)('go', ['build', '-trimpath', '-buildvcs=false', '-o', made, '.'], {
      cwd: sources,
      env: { ...env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' },
      timeout: limitMs,
    });
    // Whoever builds at the same time makes the same.
    await rename(made, program);
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException & { readonly stderr?: string };
    const why = error.code === 'ENOENT' ? 'there is no Go on PATH' : (error.stderr ?? error.message).trim();
    throw new SluiceError(
      'invalid',
      `the program of the node namespaces (src/sandbox/bed/program) cannot be built: ${why}`,
      {
        code: 'NoBedProgram',
        cause,
      },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return program;
}

async function digest(): Promise<string> {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  const names = (await readdir(sources)).filter((name) => /\.(?:go|mod)$/.test(name)).toSorted();
  for (const name of names) hash.update(name).update(await readFile(join(sources, name)));
  return hash.digest('hex').slice(0, 12);
}
