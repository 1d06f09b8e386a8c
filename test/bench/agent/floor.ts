/**
 * What no agent can do without: both lists from this API server to their end, and then the tool for what they say. No
 * code of ours runs in it; an agent that lets the tool read while the lists still come can do a little better.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bed } from '../../../src/sandbox/bed/bed.ts';
import { quantile } from '../bench.ts';
import { node, type Stage } from './stage.ts';

const paths = ['/api/v1/services', '/apis/discovery.k8s.io/v1/endpointslices'];

/** Milliseconds in which curl has both lists, asked for at once and thrown away: the median of three. */
export async function listsMs(stage: Stage): Promise<number> {
  const { admin, apiServer } = stage.cluster.controlPlane;
  const { credentials } = admin;
  if (credentials.kind !== 'certificate') throw new Error('the administrator has no certificate');
  await using bed = await stage.node();
  const folder = await bed.folder();
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const files = [
    ['--cacert', await file('ca.pem', apiServer.address.ca)],
    ['--cert', await file('certificate.pem', credentials.certificate)],
    ['--key', await file('key.pem', credentials.key)],
  ].flat();
  const times: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) times.push(await once(bed, apiServer.address.url, files));
  return quantile(times, 0.5);
}

async function once(bed: Bed, url: string, files: readonly string[]): Promise<number> {
  const started = performance.now();
  await Promise.all(
    paths.map((path) =>
      bed.succeed(node, 'curl', [
        '--silent',
        '--fail',
        ...files,
        '--output',
        '/dev/null',
        `${url}${path}?resourceVersion=0`,
      ]),
    ),
  );
  return performance.now() - started;
}
