/**
 * What is around the account: which servers exist and in which state, and whether they would answer a health
 * check; and what SLB remembers beside its resources (client tokens, what is being configured, what is hidden).
 */

export interface Server {
  readonly state: 'Pending' | 'Running' | 'Starting' | 'Stopping' | 'Stopped';
  /** Absent: in whichever VPC is asked for. */
  readonly vpcId?: string;
}

/** Which members a rule is about; an absent part means any. Later rules win. */
export interface MemberSelector {
  readonly serverId?: string;
  readonly port?: number;
}

export type Health = 'normal' | 'abnormal';

export class World {
  readonly servers = new Map<string, Server>();
  /** Client token to what was asked with it and answered. */
  readonly tokens = new Map<string, { readonly asked: string; readonly answer: object }>();
  /** Id to the moment until which an ordered fault hides it. */
  readonly hidden = new Map<string, number>();
  /** Balancer to the moment until which it is being configured. */
  readonly configuring = new Map<string, number>();
  #rules: { readonly selector: MemberSelector; readonly health: Health }[] = [];

  setHealth(selector: MemberSelector, health: Health): void {
    const same = JSON.stringify(selector);
    this.#rules = this.#rules.filter((rule) => JSON.stringify(rule.selector) !== same);
    this.#rules.push({ selector, health });
  }

  healthOf(serverId: string, port: number): Health {
    const state = this.servers.get(serverId)?.state ?? 'Running';
    if (state !== 'Running') return 'abnormal';
    const rule = this.#rules.findLast(
      ({ selector }) => (selector.serverId ?? serverId) === serverId && (selector.port ?? port) === port,
    );
    return rule?.health ?? 'normal';
  }
}
