/** The program: its sub-commands in the order in which help shows them. */
import { agentCommand } from './agent.ts';
import { controllerCommand } from './controller.ts';
import { demoCommand } from './demo.ts';
import { drainCommand } from './drain.ts';
import { explainCommand } from './explain.ts';
import { localCommands } from './local.ts';
import { migrateCommand } from './migrate.ts';
import { planCommand } from './plan.ts';
import { sandboxCommand, sandboxDumpCommand } from './sandbox.ts';
import { topCommand } from './top.ts';
import { uninstallCommand } from './uninstall.ts';
import { verifyCommand } from './verify.ts';
import { program } from './table.ts';
import { version } from './version.ts';

export const sluice = program({
  name: 'sluice',
  version,
  description:
    'Opens the way from outside a Kubernetes cluster to the Services inside it: by balancers of a cloud (AWS, Alibaba ' +
    'Cloud), by addresses that the nodes announce, or by addresses of this machine.',
  commands: [
    controllerCommand,
    agentCommand,
    ...localCommands,
    planCommand,
    explainCommand,
    verifyCommand,
    topCommand,
    drainCommand,
    sandboxCommand,
    sandboxDumpCommand,
    demoCommand,
    migrateCommand,
    uninstallCommand,
  ],
  examples: [
    { line: 'sluice plan -f examples/', does: 'see what balancers some manifests would make, offline' },
    { line: 'sluice sandbox', does: 'a throw-away cluster with a simulated cloud' },
    { line: 'sluice explain svc/web', does: 'why is there no EXTERNAL-IP?' },
    { line: 'sluice controller --config config.yaml', does: 'serve a cluster' },
    { line: 'sluice local', does: 'addresses on this machine for any cluster, without root' },
    { line: 'sluice agent', does: 'carry Services to pods, on every node' },
  ],
});
