/**
 * Where we are: region, VPC and vswitch, by the settings, and where they name no region by the instance that we run on.
 *
 * What the settings say is never asked for. Who runs elsewhere than on the cloud's instances names the region.
 */
import type { Clock } from '../../src/core/clock.ts';
import { asSluiceError, SluiceError } from '../../src/core/errors.ts';
import type { AlibabaConfig } from './config.ts';
import { openMetadata } from './credentials/metadata.ts';
import { regionForm } from './endpoints.ts';

const action = 'InstanceMetadata';

/** The settings with a region. Throws `denied` with what to do where none is to be had. */
export async function placed(
  config: AlibabaConfig,
  clock: Clock,
  signal: AbortSignal,
): Promise<AlibabaConfig> {
  if (config.region !== '') return config;
  try {
    const get = await openMetadata(action, config.credentials.metadataEndpoint, clock, signal);
    const region = await get('/latest/meta-data/region-id');
    if (!regionForm.test(region)) throw failed(undefined, 'its answer is no region');
    const vpcId = config.vpcId ?? (await known(get, '/latest/meta-data/vpc-id', 'vpc-'));
    const vSwitch =
      config.vSwitches.length > 0 || config.vpcId !== undefined
        ? undefined
        : await known(get, '/latest/meta-data/vswitch-id', 'vsw-');
    return { ...config, region, vpcId, vSwitches: vSwitch === undefined ? config.vSwitches : [vSwitch] };
  } catch (thrown) {
    const error = asSluiceError(thrown);
    throw error.code === 'RegionUnknown' ? error : failed(error, error.code);
  }
}

function failed(cause: unknown, why: string): SluiceError {
  return new SluiceError(
    'denied',
    `providers.alibaba.region is not set, and the metadata service of the instance did not tell it (${why}); name the region there, such as cn-hangzhou`,
    { code: 'RegionUnknown', cause },
  );
}

/** What only intranet balancers need: they say so when it is missing. */
async function known(
  get: (path: string) => Promise<string>,
  path: string,
  prefix: string,
): Promise<string | undefined> {
  try {
    const text = await get(path);
    return text.startsWith(prefix) && /^[A-Za-z0-9-]+$/u.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
