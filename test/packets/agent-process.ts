/** The node agent as its own process in a node of a bed, from the sources of this checkout. */
import { fileURLToPath } from 'node:url';
import type { ManagedProcess } from '../../src/sandbox/processes.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';
import type { Bed } from '../../src/sandbox/bed/bed.ts';

export interface AgentOptions {
  readonly kubeconfig: string;
  /** Further flags. */
  readonly args?: readonly string[];
  /** By default the node's own. */
  readonly nodeName?: string;
  /** Runs the agent, as `setpriv` does. */
  readonly through?: readonly string[];
  /** The program, by default the sources; the bundle starts faster. */
  readonly main?: string;
}

const sources = fileURLToPath(new URL('src/main.ts', packageRoot));
let count = 0;

/** The address of the agent's health, in its node. */
export const healthUrl = 'http://127.0.0.1:10270';
/** The address of its metrics and reasons. */
export const debugUrl = 'http://127.0.0.1:10271';

/** Starts it. It ends with the bed. */
export async function startAgent(bed: Bed, node: string, options: AgentOptions): Promise<ManagedProcess> {
  const { kubeconfig, args = [], nodeName = node, through = [], main = sources } = options;
  count += 1;
  const [program = '', ...rest] = [
    ...through,
    process.execPath,
    main,
    'agent',
    `--node-name=${nodeName}`,
    `--kubeconfig=${kubeconfig}`,
    '--log-level=debug',
    '--log-form=json',
    ...args,
  ];
  return bed.start(node, { name: `agent-${node}-${count}`, program, args: rest });
}

/** Removes all rules of the agent from a node; what it said. */
export async function cleanUp(bed: Bed, node: string): Promise<string> {
  return bed.succeed(node, process.execPath, [sources, 'agent', '--cleanup']);
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What it has logged so far. */
export async function logOf(agent: ManagedProcess): Promise<readonly LogLine[]> {
  const text = await agent.tail(500);
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []));
}
