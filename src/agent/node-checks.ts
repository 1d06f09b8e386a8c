/** Looks now and then whether the node is fit for what it serves, and tells each finding once while it lasts. */
import type { Clock } from '../core/clock.ts';
import type { IpFamily, ObjectKey } from '../core/objects.ts';
import type { Decision } from './decision.ts';
import {
  checkEphemeralPorts,
  checkForwarding,
  type Finding,
  type ServiceFinding,
  type Sysctls,
} from './preflight.ts';
import { boundSockets, shadows } from './sockets.ts';
import type { RunTool } from './tool.ts';

export interface NodeCheckOptions {
  readonly sysctls: Sysctls;
  readonly run: RunTool;
  readonly families: readonly IpFamily[];
  /** `protocol port` → a decision that serves it. */
  readonly nodePorts: () => readonly Decision[];
  /** What the backend cannot do for some Services. */
  readonly limits?: () => Promise<readonly ServiceFinding[]>;
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
    const { sysctls, families, nodePorts, found } = this.#options;
    const decisions = nodePorts();
    const ports = new Set(decisions.map(({ nodePort }) => nodePort));
    const findings: (Finding & { readonly service?: ObjectKey })[] = [
      ...(await checkForwarding(sysctls, families)),
      ...(await checkEphemeralPorts(sysctls, ports)),
      ...(await this.#takenPorts(decisions)),
      ...((await this.#options.limits?.()) ?? []),
    ];
    const now = new Set(findings.map(({ message }) => message));
    for (const finding of findings) if (!this.#told.has(finding.message)) found(finding);
    this.#told = now;
  }

  async #takenPorts(decisions: readonly Decision[]): Promise<readonly ServiceFinding[]> {
    if (decisions.length === 0) return [];
    const sockets = (await boundSockets(this.#options.run)).filter(shadows);
    const byPort = new Map(sockets.map((socket) => [`${socket.protocol} ${socket.port}`, socket]));
    return decisions.flatMap(({ protocol, nodePort, service }) => {
      const socket = byPort.get(`${protocol} ${nodePort}`);
      if (socket === undefined) return [];
      return [
        {
          code: 'NodePortTaken' as const,
          service,
          message: `a program on the node listens on ${socket.address} ${protocol} port ${nodePort}, a node port of ${service}; what is asked there goes to the Service`,
        },
      ];
    });
  }

  #later(ms: number): void {
    this.#cancel = this.#options.clock.schedule(ms, () => {
      void this.look()
        .catch(() => undefined)
        .then(() => this.#later(everyMs));
    });
  }
}
