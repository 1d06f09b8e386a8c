/** `sluice controller`: the long-running part in the cluster. What it says of itself; controller-run.ts is what it does. */
import { accessFlags, configFlag, logFlags } from './access.ts';
import { command, type Input } from './table.ts';

const flags = {
  config: { ...configFlag, default: '/etc/sluice/config.yaml' },
  ...accessFlags,
  listen: {
    kind: 'string',
    value: 'ADDRESS',
    help: 'Where health and metrics are served; default: as in the settings (:8080)',
  },
  ...logFlags,
} as const;

export type ControllerInput = Input<typeof flags>;

export const controllerCommand = command({
  name: 'controller',
  summary: 'Serve Services of type LoadBalancer: the long-running part in a cluster',
  description:
    'Watches Services, Nodes and EndpointSlices, keeps the balancers of the configured providers in step with ' +
    'them, and writes addresses, conditions and events. Several replicas may run; a Lease decides which one works.\n\n' +
    'It needs a settings file and access to the API server: in a Pod its ServiceAccount, elsewhere a kubeconfig. ' +
    "Cloud credentials come from where the cloud's own tools look for them.\n\n" +
    'On SIGTERM it finishes no new work, gives the Lease back and ends; balancers and rules stay as they are.',
  words: '',
  wordCount: [0, 0],
  flags,
  examples: [
    {
      line: 'sluice controller --config config.yaml',
      does: 'serve the cluster of the current kubeconfig context',
    },
    {
      line: 'sluice controller --config config.yaml --listen 127.0.0.1:8080 --log-level debug',
      does: 'with every call and pass in the log',
    },
  ],
  run: async (input) => {
    const { runController } = await import('./controller-run.ts');
    return await runController(input);
  },
});
