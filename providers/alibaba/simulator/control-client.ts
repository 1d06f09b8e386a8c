/** The control endpoints (control.ts) as functions: how a demo, a command or a test drives a simulator in another process. */

import type { AccountDump } from './dump.ts';
import type { OrderedFault } from '../../../src/core/simulated/faults.ts';
import type { FaultEffect, FaultOrder } from './faults.ts';
import type { RecordedCall } from './record.ts';
import type { Settings, SettingsInput } from './settings.ts';
import type { LoadBalancerRecord } from './store.ts';
import type { Health, MemberSelector, Server } from './world.ts';

export interface ControlClient {
  dump(): Promise<AccountDump>;
  /** Calls after number `seq`, and the number of all calls by operation. */
  calls(
    seq?: number,
  ): Promise<{ readonly calls: readonly RecordedCall[]; readonly counts: Readonly<Record<string, number>> }>;
  forgetCalls(): Promise<void>;
  faults(): Promise<readonly OrderedFault<FaultEffect>[]>;
  /** Returns the order's id. */
  orderFault(order: FaultOrder): Promise<string>;
  /** Takes back one order, or all. */
  clearFaults(id?: string): Promise<void>;
  settings(): Promise<Settings>;
  configure(settings: SettingsInput): Promise<Settings>;
  setHealth(selector: MemberSelector, health: Health): Promise<void>;
  setServer(id: string, server: Server | undefined): Promise<void>;
  setLoadBalancerStatus(id: string, status: LoadBalancerRecord['status']): Promise<void>;
  /** Done by hand, without faults. Rejects with the refusal's code and message. */
  call(operation: string, input: object): Promise<object>;
  reset(): Promise<void>;
}

/** `url` is the simulator's endpoint. Functions reject with an Error that carries the simulator's own message. */
export function controlClient(url: string): ControlClient {
  const send = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(new URL(`/_sluice/${path}`, url), {
      method,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${method} ${path}: ${String(answer['error'])}`);
    return answer;
  };
  const tell = async (method: string, path: string, body?: unknown): Promise<void> => {
    await send(method, path, body);
  };
  return {
    dump: async () => (await send('GET', 'dump')) as unknown as AccountDump,
    calls: async (seq = 0) =>
      (await send('GET', `calls?since=${seq}`)) as {
        calls: readonly RecordedCall[];
        counts: Readonly<Record<string, number>>;
      },
    forgetCalls: () => tell('DELETE', 'calls'),
    faults: async () => (await send('GET', 'faults'))['faults'] as readonly OrderedFault<FaultEffect>[],
    orderFault: async (order) => String((await send('POST', 'faults', order))['id']),
    clearFaults: (id) => tell('DELETE', id === undefined ? 'faults' : `faults/${id}`),
    settings: async () => (await send('GET', 'settings')) as unknown as Settings,
    configure: async (settings) => (await send('PATCH', 'settings', settings)) as unknown as Settings,
    setHealth: (selector, health) => tell('POST', 'health', { selector, health }),
    setServer: (id, server) => tell('POST', 'servers', { id, server: server ?? null }),
    setLoadBalancerStatus: (id, status) => tell('POST', 'load-balancer-status', { id, status }),
    call: async (operation, input) => {
      const { output, error } = await send('POST', 'call', { operation, input });
      if (error === undefined) return output as object;
      const { code, message } = error as { code: string; message: string };
      throw Object.assign(new Error(`${operation}: ${code}: ${message}`), { code });
    },
    reset: () => tell('POST', 'reset'),
  };
}
