/** The program: its sub-commands in the order in which help shows them. */
import { controllerCommand } from './controller.ts';
import { planCommand } from './plan.ts';
import { program } from './table.ts';
import { version } from './version.ts';

export const sluice = program({
  name: 'sluice',
  version,
  description:
    'Opens the way from outside a Kubernetes cluster to the Services inside it: AWS NLB, Alibaba CLB and bare metal.',
  commands: [controllerCommand, planCommand],
  examples: [
    { line: 'sluice plan -f examples/', does: 'see what balancers some manifests would make, offline' },
    { line: 'sluice controller --config config.yaml', does: 'serve a cluster' },
  ],
});
