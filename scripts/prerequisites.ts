/**
 * What some stages need from the machine beyond `npm ci`: found, installed where that can be done without
 * asking, else named with its cure.
 *
 * A missing one leaves its stage out on a person's machine, counted as skipped and named; with CI=true it
 * is a failure, so that CI cannot turn green by testing less.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findBinaries } from '../src/sandbox/binaries.ts';
import { packetBed } from './packet-prerequisites.ts';
import { root, run } from './run.ts';

export type Found =
  | { readonly kind: 'ready'; readonly env: Readonly<Record<string, string>> }
  | { readonly kind: 'missing'; readonly message: string };

const ready: Found = { kind: 'ready', env: {} };
const installLimitMs = 10 * 60_000;

/**
 * The programs of the cluster tests: found, or built now, before any test's time runs. The first build on a machine
 * takes minutes.
 */
async function controlPlane(): Promise<Found> {
  try {
    await findBinaries(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'], {
      progress: (line) => console.log(`cluster    ${line}`),
    });
    return ready;
  } catch (error) {
    return { kind: 'missing', message: error instanceof Error ? error.message : String(error) };
  }
}

/** moto, the second opinion on AWS, in a virtual environment of the tests' own. */
async function moto(): Promise<Found> {
  const requirements = join(root, 'test', 'wire', 'requirements.txt');
  if (!existsSync(requirements)) return ready;
  const folder = join(root, '.venv');
  const python = join(folder, 'bin', 'python');
  const env = { SLUICE_MOTO: join(folder, 'bin', 'moto_server') };
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
  // pip with everything in place answers within a second, so it is simply asked each time.
  const options = { limitMs: installLimitMs };
  if (!existsSync(python)) {
    const made = await run('python3', ['-m', 'venv', folder], options);
    if (made.code !== 0) {
      return {
        kind: 'missing',
        message: `moto needs Python 3 with venv (Debian: python3-venv): ${made.output.trim()}`,
      };
    }
  }
  const installed = await run(python, install, options);
  if (installed.code === 0) return { kind: 'ready', env };
  return { kind: 'missing', message: `moto could not be installed with pip: ${installed.output.trim()}` };
}

export const prerequisites: Readonly<Record<string, () => Promise<Found>>> = {
  'control-plane': controlPlane,
  moto,
  'packet-bed': packetBed,
};
