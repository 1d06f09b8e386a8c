/**
 * Missing, wrong and expired credentials: what a user of `sluice controller` sees, in the Service and in the
 * log, through the SDK's own search for credentials and a simulated AWS that checks signatures.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Account } from '../../providers/aws/simulator/account.ts';
import { startServer, type SimulatorServer } from '../../providers/aws/simulator/server.ts';
import { startAws } from '../../providers/aws/start.ts';
import { Controller } from '../../src/controller/controller.ts';
import { finalizer } from '../../src/core/claim.ts';
import { seededRandom } from '../../src/core/clock.ts';
import { aNode, aService } from '../../src/core/fixtures.ts';
import type { ProviderName } from '../../src/core/provider.ts';
import { createLog } from '../../src/observe/log.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createTelemetry } from '../../src/observe/telemetry.ts';
import { testCluster, testConfig } from '../support/aws-bench.ts';
import { benchOptions, web } from '../support/controller-bench.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { SmallCluster } from '../support/small-cluster.ts';

const right = { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'the-right-secret' };
/** The SDK looks nowhere but into the environment that a test gives it. */
const nowhere = (home: string) => ({
  HOME: home,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
  AWS_CONFIG_FILE: join(home, 'config'),
  AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
  AWS_WEB_IDENTITY_TOKEN_FILE: undefined,
  AWS_ROLE_ARN: undefined,
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: undefined,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: undefined,
});

let home: string;
let account: Account;
let server: SimulatorServer;
const clock = scaledClock(50);
const ends: (() => void | Promise<void>)[] = [];

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'sluice-credentials-'));
  for (const [name, value] of Object.entries(nowhere(home))) vi.stubEnv(name, value);
  account = new Account({ clock, random: seededRandom(1) });
  server = await startServer({
    account,
    secrets: new Map([[right.AWS_ACCESS_KEY_ID, right.AWS_SECRET_ACCESS_KEY]]),
  });
});

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
  await server.close();
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

/** The parts of `sluice controller` on this side of the Kubernetes API. */
function serve(environment: Readonly<Record<string, string>>) {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const lines: string[] = [];
  const log = createLog({ level: 'info', form: 'text', write: (line) => lines.push(line), now: () => 0 });
  const telemetry = createTelemetry({
    log,
    metrics: createMetrics({ version: 'test', processMetrics: false }),
  });
  const random = seededRandom(1);
  const aws = startAws(testConfig({ endpoint: server.url }), {
    clock,
    random,
    onCall: (call) => telemetry.call('aws', call),
  });
  const cluster = new SmallCluster(clock);
  cluster.setNodes([aNode('n1')]);
  cluster.apply(aService());
  const controller = new Controller({
    clock,
    random,
    cluster: testCluster,
    view: cluster,
    writer: cluster.writer(),
    providers: new Map<ProviderName, typeof aws.provider>([['aws', aws.provider]]),
    options: benchOptions,
    workers: 4,
    telemetry,
    permit: () => {},
  });
  const disconnect = cluster.connect(controller);
  controller.start();
  ends.push(async () => {
    disconnect();
    await controller.stop();
    aws.close();
  });
  return { cluster, lines };
}

interface Case {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly code: string;
  readonly advice: RegExp;
}

const cases: readonly Case[] = [
  {
    name: 'no credentials anywhere',
    environment: {},
    code: 'CredentialsProviderError',
    advice: /no credentials were found; give the controller a role .* AWS_ACCESS_KEY_ID/,
  },
  {
    name: 'half of them',
    environment: { AWS_ACCESS_KEY_ID: right.AWS_ACCESS_KEY_ID },
    code: 'CredentialsProviderError',
    advice: /no credentials were found/,
  },
  {
    name: 'a key that AWS does not know',
    environment: { ...right, AWS_ACCESS_KEY_ID: 'AKIAI44QH8DHBEXAMPLE' },
    code: 'InvalidClientTokenId',
    advice: /AWS does not know the access key/,
  },
  {
    name: 'the secret of another key',
    environment: { ...right, AWS_SECRET_ACCESS_KEY: 'another-secret' },
    code: 'SignatureDoesNotMatch',
    advice: /the secret does not belong to the access key/,
  },
  {
    name: 'a profile that is not there',
    environment: { AWS_PROFILE: 'prod' },
    code: 'CredentialsProviderError',
    advice: /no credentials were found/,
  },
];

test.each(cases)('$name: condition, event and log say what is wrong and what to do', async (one) => {
  const { cluster, lines } = serve(one.environment);
  const condition = await vi.waitFor(() => {
    const found = cluster.service(web)?.conditions.find(({ type }) => type === 'Provisioned');
    expect(found).toBeDefined();
    return found;
  });
  expect(condition).toMatchObject({ status: 'False', reason: 'AccessDenied' });
  const event = cluster.events.find(({ type }) => type === 'Warning');
  expect(event).toMatchObject({ reason: 'SyncLoadBalancerFailed' });
  const told = lines.filter((line) => line.includes('does not accept our credentials'));
  expect(told, 'said once, not at every call').toHaveLength(1);
  for (const text of [condition?.message, event?.note, told[0]]) {
    expect(text).toContain(one.code);
    expect(text).toMatch(one.advice);
    for (const secret of ['the-right-secret', 'another-secret', 'AWS4-HMAC', 'Signature=', 'AKIAI']) {
      expect(text).not.toContain(secret);
    }
  }
  expect(account.writes()).toEqual([]);
});

test('credentials that expire: said in the Service and the log, nothing is touched, and all goes on when they are renewed', async () => {
  const { cluster, lines } = serve(right);
  await vi.waitFor(() => expect(cluster.service(web)?.ingress).toHaveLength(1), { timeout: 5_000 });
  account.faults.order({ times: 'until-cleared', effect: { kind: 'error', code: 'ExpiredToken' } });
  const writes = account.writes().length;
  cluster.setNodes([aNode('n1'), aNode('n2')]);
  await vi.waitFor(() => {
    expect(cluster.service(web)?.conditions.find(({ type }) => type === 'InSync')).toMatchObject({
      status: 'False',
      reason: 'AccessDenied',
      message: expect.stringMatching(/ExpiredToken: the credentials have expired; renew them/),
    });
  });
  expect(cluster.service(web)?.ingress, 'the address stays').toHaveLength(1);
  expect(
    account
      .writes()
      .slice(writes)
      .every(({ error }) => error?.code === 'ExpiredToken'),
  ).toBe(true);
  expect(lines.filter((line) => line.includes('does not accept our credentials'))).toHaveLength(1);

  cluster.delete(web);
  await vi.waitFor(() => {
    expect(cluster.events).toContainEqual(
      expect.objectContaining({
        reason: 'DeleteLoadBalancerFailed',
        note: expect.stringContaining('the credentials have expired; renew them'),
      }),
    );
  });
  expect(cluster.service(web)?.finalizers).toContain(finalizer);
  account.faults.clear();
  await vi.waitFor(() => expect(cluster.service(web)).toBeUndefined(), { timeout: 10_000 });
  expect(account.resources()).toEqual([]);
  expect(lines.filter((line) => line.includes('accepts our credentials again'))).toHaveLength(1);
});
