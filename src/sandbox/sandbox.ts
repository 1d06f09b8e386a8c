/**
 * A throw-away cluster in one call: a real control plane, simulated clouds and the controller as its own
 * process under its own ServiceAccount and Role, as in a real cluster. All on loopback, in a temporary
 * folder, and gone when it stops.
 *
 * `sluice sandbox`, `sluice demo`, the cluster tests and the benches stand on this.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { connect, type Connection } from '../kube/connection.ts';
import type { SettingsInput } from '../../providers/aws/simulator/settings.ts';
import type { SettingsInput as AlibabaSettingsInput } from '../../providers/alibaba/simulator/settings.ts';
import { startAlibabaCloud, startAwsCloud, type AlibabaCloud, type AwsCloud } from './clouds.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneOptions } from './control-plane.ts';
import { apply, manifestsOf, type Manifest } from './objects.ts';
import { lastWords, type ManagedProcess, type Supervisor } from './processes.ts';
import { until } from './demo/stage.ts';

/** The checkout or the installed package. */
export const packageRoot = new URL('../../', import.meta.url);

const namespace = 'sluice-system';
const account = 'sluice-controller';
/** A controller gives its Lease back when it is asked to end; that takes a moment. */
const graceMs = 5_000;

export interface SandboxOptions {
  readonly controlPlane?: ControlPlaneOptions;
  readonly aws?: SettingsInput;
  /** Given, the controller serves local mode instead of a cloud, with these settings under `providers.local`. */
  readonly local?: object;
  /** Merged over `providers.aws` of the settings file. */
  readonly awsSettings?: object;
  /** Given, there is a simulated Alibaba Cloud account too, and the controller serves it instead of AWS. */
  readonly alibaba?: AlibabaSettingsInput;
  /** Merged over `providers.alibaba` of the settings file. */
  readonly alibabaSettings?: object;
  /** Merged over `controller` of the settings file. */
  readonly controllerSettings?: object;
  /** Run the bundle in `dist/` (made by `npm run build`) instead of what `bin/sluice.js` picks. */
  readonly bundle?: boolean;
  /** How many controllers; 0 for a test that brings its own. */
  readonly controllers?: number;
  readonly progress?: (message: string) => void;
  /** Ends the start-up. */
  readonly signal?: AbortSignal;
  /** Is told when a server or a controller ends that nobody stopped, with the end of its log. */
  readonly onUnexpectedEnd?: (message: string) => void;
}

export interface Sandbox {
  readonly controlPlane: ControlPlane;
  readonly aws: AwsCloud;
  /** Where it was asked for. */
  readonly alibaba: AlibabaCloud | undefined;
  /** Full access to the API server. */
  readonly api: Connection;
  /** Path of a kubeconfig with full access. */
  readonly kubeconfig: string;
  /** Path of the kubeconfig of the controller's ServiceAccount. */
  readonly controllerKubeconfig: string;
  /** Path of the settings file. */
  readonly settings: string;
  /** Starts one more controller and waits until it is ready. */
  startController(options?: StartControllerOptions): Promise<RunningController>;
  readonly controllers: readonly RunningController[];
  stop(): Promise<void>;
}

export interface StartControllerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningController {
  readonly process: ManagedProcess;
  /** Where it serves health, metrics and reasons. */
  readonly url: string;
}

export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const say = options.progress ?? (() => undefined);
  const stops: (() => Promise<void>)[] = [];
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    for (const end of stops.splice(0).toReversed()) await end();
  };
  try {
    const controlPlane = await startControlPlane({
      ...options.controlPlane,
      progress: say,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.onUnexpectedEnd === undefined ? {} : { onUnexpectedEnd: options.onUnexpectedEnd }),
    });
    stops.push(() => controlPlane.stop());
    const aws = await startAwsCloud(options.aws);
    stops.push(() => aws.close());
    const alibaba = options.alibaba === undefined ? undefined : await startAlibabaCloud(options.alibaba);
    stops.push(async () => await alibaba?.close());
    const kubeconfig = controlPlane.kubeconfig;
    const api = await connect({ path: kubeconfig });
    stops.push(() => api.close());
    await installRole(api);
    if (options.local !== undefined) await installLocal(api);
    const controllerKubeconfig = (
      await controlPlane.addServiceAccount({ namespace, name: account, lifetimeSeconds: 86_400 })
    ).path;
    const settings = join(controlPlane.folder, 'sluice.yaml');
    await writeFile(settings, settingsText(aws.url, alibaba?.url, options));

    const controllers: RunningController[] = [];
    const startController = async (how: StartControllerOptions = {}): Promise<RunningController> => {
      const controller = await spawnController({
        supervisor: controlPlane.supervisor,
        settings,
        kubeconfig: controllerKubeconfig,
        index: controllers.length,
        entry: options.bundle === true ? 'dist/sluice.js' : 'bin/sluice.js',
        ...how,
      });
      controllers.push(controller);
      void controller.process.exited.then(async (exit) => {
        if (stopping || options.onUnexpectedEnd === undefined) return;
        options.onUnexpectedEnd(await lastWords(controller.process, exit));
      });
      stops.push(async () => {
        await controller.process.stop(graceMs);
      });
      return controller;
    };
    for (let count = 0; count < (options.controllers ?? 1); count += 1) {
      say('Starting the controller');
      await startController();
    }
    return {
      controlPlane,
      aws,
      alibaba,
      api,
      kubeconfig,
      controllerKubeconfig,
      settings,
      startController,
      controllers,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * What the Deployment sets in the environment of the controller, so that it runs here as it does there. The
 * share of the memory limit is made a size: there is no limit here to take a share of.
 */
async function deployedEnvironment(): Promise<Readonly<Record<string, string>>> {
  const [deployment] = await manifestsOf(new URL('manifests/base/deployment.yaml', packageRoot));
  const container = (deployment?.['spec'] as DeploymentSpec | undefined)?.template.spec.containers[0];
  const limitMi = Number(/^(\d+)Mi$/u.exec(container?.resources.limits.memory ?? '')?.[1] ?? 0);
  const sized = (value: string): string =>
    value.replace(/--max-old-space-size-percentage=(\d+)/u, (_, share: string) => {
      return `--max-old-space-size=${Math.round((limitMi * Number(share)) / 100)}`;
    });
  return Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, sized(value)]));
}

interface DeploymentSpec {
  readonly template: {
    readonly spec: {
      readonly containers: readonly {
        readonly env?: readonly { readonly name: string; readonly value: string }[];
        readonly resources: { readonly limits: { readonly memory: string } };
      }[];
    };
  };
}

/** Namespace, ServiceAccount and Roles exactly as they are installed in a cluster. */
async function installRole(api: Connection): Promise<void> {
  for (const file of ['namespace', 'service-account', 'cluster-role', 'lease-role']) {
    for (const object of await manifestsOf(new URL(`manifests/base/${file}.yaml`, packageRoot))) {
      await apply(api, inNamespace(object));
    }
  }
}

/** The kinds of local mode and the rights that it needs beside the base. */
async function installLocal(api: Connection): Promise<void> {
  for (const file of ['crds/addresspools', 'crds/serviceaddresses', 'overlays/local/controller-role']) {
    for (const object of await manifestsOf(new URL(`manifests/${file}.yaml`, packageRoot)))
      await apply(api, inNamespace(object));
  }
  await until('the kinds of local mode to be served', async () => {
    const lists = ['addresspools', 'serviceaddresses'].map((plural) =>
      api.request('GET', `/apis/sluice.dev/v1alpha1/${plural}`),
    );
    return (await Promise.allSettled(lists)).every(({ status }) => status === 'fulfilled') || undefined;
  });
}

function inNamespace(object: Manifest): Manifest {
  const namespaced = ['ServiceAccount', 'Role', 'RoleBinding'].includes(object.kind);
  return namespaced ? { ...object, metadata: { namespace, ...object.metadata } } : object;
}

function settingsText(awsUrl: string, alibabaUrl: string | undefined, options: SandboxOptions): string {
  const rates = { read: 1_000, members: 1_000, modify: 1_000 };
  const alibaba = {
    region: 'cn-hangzhou',
    endpoint: alibabaUrl,
    vpcId: 'vpc-1',
    vSwitches: ['vsw-a', 'vsw-b'],
    credentials: { source: 'access-key' },
    rates,
    ...options.alibabaSettings,
  };
  return stringify({
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'Config',
    cluster: { name: 'sandbox' },
    controller: { listen: '127.0.0.1:0', ...options.controllerSettings },
    providers:
      options.local !== undefined
        ? { local: options.local }
        : alibabaUrl === undefined
          ? { aws: awsSection(awsUrl, options) }
          : { alibaba },
  });
}

function awsSection(awsUrl: string, options: SandboxOptions): object {
  return {
    region: 'eu-west-1',
    endpoint: awsUrl,
    subnets: { 'internet-facing': ['subnet-a', 'subnet-b'], internal: ['subnet-c', 'subnet-d'] },
    ...options.awsSettings,
  };
}

async function spawnController(parts: {
  readonly supervisor: Supervisor;
  readonly settings: string;
  readonly kubeconfig: string;
  readonly index: number;
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}): Promise<RunningController> {
  const child = await parts.supervisor.start({
    name: `controller-${parts.index}`,
    program: process.execPath,
    args: [
      fileURLToPath(new URL(parts.entry, packageRoot)),
      'controller',
      '--config',
      parts.settings,
      '--kubeconfig',
      parts.kubeconfig,
      '--log-form',
      'json',
      ...(parts.args ?? []),
    ],
    // The simulated account takes any credentials; real ones must never reach it.
    env: {
      PATH: process.env['PATH'] ?? '',
      ...(await deployedEnvironment()),
      AWS_ACCESS_KEY_ID: 'sandbox',
      AWS_SECRET_ACCESS_KEY: 'sandbox',
      AWS_EC2_METADATA_DISABLED: 'true',
      ALIBABA_CLOUD_ACCESS_KEY_ID: 'sandbox',
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'sandbox',
      ...parts.env,
    },
  });
  const { value: port } = await until('the controller to start', async () => {
    if (child.ended()) throw new Error(`the controller ended at once:\n${await child.tail(20)}`);
    return /"port":(\d+)/u.exec(await child.tail(200))?.[1];
  });
  const url = `http://127.0.0.1:${port}`;
  await until('the controller to be ready', async () => {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    return response?.ok === true ? true : undefined;
  });
  return { process: child, url };
}
