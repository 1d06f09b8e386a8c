/** Looks now and then whether the node is fit for what it serves, and tells each finding once while it lasts. */
import type { Clock } from '../core/clock.ts';
import type { IpFamily, ObjectKey } from '../core/objects.ts';
import type { Decision } from './decision.ts';
import {
  checkEphemeralPorts,
  checkForwarding,
  type Finding,
  type PortRange,
  type ServiceFinding,
  type Sysctls,
} from './preflight.ts';
import { boundSockets, shadows, type BoundSocket } from './sockets.ts';
import type { RunTool } from './tool.ts';

export interface NodeCheckOptions {
  readonly sysctls: Sysctls;
  readonly run: RunTool;
  readonly families: readonly IpFamily[];
  /** `protocol port` → a decision that serves it. */
  readonly nodePorts: () => readonly Decision[];
  /** What the backend cannot do for some Services. */
  readonly limits?: () => Promise<readonly ServiceFinding[]>;
  /** What the cluster gives node ports from. */
  readonly range: PortRange;
  /** Where node ports answer, of each family. */
  readonly answersAt: () => readonly ('all' | readonly string[])[];
  /**
   * Health-check node ports, which are bound on purpose; undefined where others may have bound theirs (kube-proxy
   * beside us): then nothing is said of ports that no Service of ours has.
   */
  readonly healthPorts: () => ReadonlySet<number> | undefined;
  readonly clock: Clock;
  readonly found: (finding: Finding & { readonly service?: ObjectKey }) => void;
}

const everyMs = 300_000;
/** The first look comes when the first Services have been written. */
const firstMs = 2_000;

export class NodeChecks {
  readonly #options: NodeCheckOptions;
  #told = new Set<string>();
  #cancel: (() => void) | undefined;

  constructor(options: NodeCheckOptions) {
    this.#options = options;
  }

  start(): void {
    this.#later(firstMs);
  }

  stop(): void {
    this.#cancel?.();
  }

  async look(): Promise<void> {
    const { sysctls, families, nodePorts, range, found } = this.#options;
    const decisions = nodePorts();
    const ports = new Set(decisions.map(({ nodePort }) => nodePort));
    const findings: (Finding & { readonly service?: ObjectKey })[] = [
      ...(await checkForwarding(sysctls, families)),
      ...(await checkEphemeralPorts(sysctls, ports, range)),
      ...(await this.#takenPorts(decisions, range)),
      ...((await this.#options.limits?.()) ?? []),
    ];
    const now = new Set(findings.map(({ message }) => message));
    for (const finding of findings) if (!this.#told.has(finding.message)) found(finding);
    this.#told = now;
  }

  async #takenPorts(
    decisions: readonly Decision[],
    range: PortRange,
  ): Promise<readonly (Finding & { readonly service?: ObjectKey })[]> {
    const { run, answersAt, healthPorts } = this.#options;
    const health = healthPorts();
    if (decisions.length === 0 && health === undefined) return [];
    const at = answersAt();
    const sockets = (await boundSockets(run)).filter((socket) => shadows(socket, at));
    const byPort = new Map(sockets.map((socket) => [`${socket.protocol} ${socket.port}`, socket]));
    const taken = decisions.flatMap(({ protocol, nodePort, service }) => {
      const id = `${protocol} ${nodePort}`;
      const socket = byPort.get(id);
      if (socket === undefined) return [];
      byPort.delete(id);
      return [
        {
          code: 'NodePortTaken' as const,
          service,
          message: `a program on the node listens on ${where(socket)}, a node port of ${service}, and no longer hears what is asked there: it goes to the Service; move the program to a port outside ${range.from}-${range.to}, or give the Service another node port (\`ss -lnp 'sport = :${nodePort}'\` names the program)`,
        },
      ];
    });
    const waiting = [...byPort.values()]
      .filter(
        ({ port }) => health !== undefined && !health.has(port) && port >= range.from && port <= range.to,
      )
      .toSorted((a, b) => a.port - b.port);
    const [first] = waiting;
    if (first === undefined) return taken;
    const rest = waiting.length > 1 ? ` (and ${waiting.length - 1} more such)` : '';
    const message = `a program on the node listens on ${where(first)}${rest}, in the cluster's range of node ports ${range.from}-${range.to}: once a Service is given that port, it hears no more of what is asked there; move it to a port outside the range`;
    return [...taken, { code: 'NodePortTaken', message }];
  }

  #later(ms: number): void {
    this.#cancel = this.#options.clock.schedule(ms, () => {
      void this.look()
        .catch(() => undefined)
        .then(() => this.#later(everyMs));
    });
  }
}

function where({ address, protocol, port }: BoundSocket): string {
  return `${address} ${protocol} port ${port}`;
}
