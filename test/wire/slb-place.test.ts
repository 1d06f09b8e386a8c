/** Where no region is named, the instance that we run on is asked, by the hardened way and no other. */
import { afterEach, expect, test } from 'vitest';
import { parseAlibabaConfig } from '../../providers/alibaba/config.ts';
import { placed } from '../../providers/alibaba/place.ts';
import { startAlibaba } from '../../providers/alibaba/start.ts';
import { systemClock } from '../../src/core/clock.ts';
import { aService } from '../../src/core/fixtures.ts';
import { standIn } from './slb-support.ts';
import type { StandIn } from './slb-support.ts';

const signal = new AbortController().signal;
const open: StandIn[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** A metadata service that knows these paths. */
async function instance(paths: Readonly<Record<string, string>>, token = 'planted-token'): Promise<StandIn> {
  const service = await standIn((request, _body, response) => {
    const url = request.url ?? '';
    if (request.method === 'PUT') {
      response.writeHead(token === '' ? 403 : 200);
      response.end(token);
      return;
    }
    const text = request.headers['x-aliyun-ecs-metadata-token'] === token ? paths[url] : undefined;
    response.writeHead(text === undefined ? 404 : 200);
    response.end(text ?? 'planted answer');
  });
  open.push(service);
  return service;
}

const all = {
  '/latest/meta-data/region-id': 'cn-shanghai',
  '/latest/meta-data/vpc-id': 'vpc-1a2b',
  '/latest/meta-data/vswitch-id': 'vsw-1a2b',
};

async function place(section: object, service: StandIn) {
  const credentials = { source: 'node-role', metadataEndpoint: service.url };
  const { config, problems } = parseAlibabaConfig({ ...section, credentials });
  expect(problems).toEqual([]);
  return await placed(config, systemClock, signal);
}

test('region, VPC and vswitch of the instance', async () => {
  const service = await instance(all);
  expect(await place({}, service)).toMatchObject({
    region: 'cn-shanghai',
    vpcId: 'vpc-1a2b',
    vSwitches: ['vsw-1a2b'],
  });
  expect(service.seen[0]).toBe('PUT /latest/api/token');
});

test('what the settings name is not asked for', async () => {
  const service = await instance(all);
  const named = { vpcId: 'vpc-mine', vSwitches: ['vsw-mine'] };
  expect(await place(named, service)).toMatchObject({ region: 'cn-shanghai', ...named });
  expect(service.seen).toEqual(['PUT /latest/api/token', 'GET /latest/meta-data/region-id']);
  expect(await place({ region: 'cn-beijing' }, service)).toMatchObject({
    region: 'cn-beijing',
    vSwitches: [],
  });
  expect(service.seen).toHaveLength(2);
});

test('an instance in no VPC still has a region', async () => {
  const service = await instance({ '/latest/meta-data/region-id': 'cn-shanghai' });
  expect(await place({}, service)).toMatchObject({ region: 'cn-shanghai', vpcId: undefined, vSwitches: [] });
});

test.each([
  ['nothing is known', {}, 'planted-token'],
  ['no token is given', all, ''],
  ['the answer is no region', { '/latest/meta-data/region-id': '<html>planted</html>' }, 'planted-token'],
])('%s: the setting that is missing is named, and no secret', async (_name, paths, token) => {
  const service = await instance(paths, token);
  const refused = place({}, service);
  await expect(refused).rejects.toMatchObject({ kind: 'denied', code: 'RegionUnknown' });
  await expect(refused).rejects.toThrow(/providers\.alibaba\.region is not set.*such as cn-hangzhou/u);
  await expect(refused).rejects.not.toThrow(/planted/u);
});

test('the provider comes up in the region that was found: nodes of others are left out', async () => {
  const service = await instance(all);
  const credentials = { source: 'node-role', metadataEndpoint: service.url };
  const { config } = parseAlibabaConfig({ credentials });
  const parts = { clock: systemClock, random: Math.random, onCall: () => undefined };
  const running = await startAlibaba(config, parts, {});
  expect(running.provider.parse(aService()).settings).toMatchObject({
    region: 'cn-shanghai',
    vpc: 'vpc-1a2b',
  });
  running.close();
});
