/** The simulated clouds that a sandbox offers, served over the wire on loopback. */
import { Account as SlbAccount } from '../../providers/alibaba/simulator/account.ts';
import { controlClient as slbControlClient } from '../../providers/alibaba/simulator/control-client.ts';
import type { ControlClient as SlbControlClient } from '../../providers/alibaba/simulator/control-client.ts';
import { startServer as startSlbServer } from '../../providers/alibaba/simulator/server.ts';
import type { SettingsInput as SlbSettingsInput } from '../../providers/alibaba/simulator/settings.ts';
import { Account } from '../../providers/aws/simulator/account.ts';
import { controlClient, type ControlClient } from '../../providers/aws/simulator/control-client.ts';
import { startServer } from '../../providers/aws/simulator/server.ts';
import type { SettingsInput } from '../../providers/aws/simulator/settings.ts';
import { systemClock } from '../core/clock.ts';

export interface AwsCloud {
  /** Endpoint for any SDK. */
  readonly url: string;
  /** Orders faults, changes the world, reads what happened: over the wire, from any process. */
  readonly control: ControlClient;
  close(): Promise<void>;
}

/** A simulated AWS account that speaks the ELBv2 wire protocol. */
export async function startAwsCloud(settings: SettingsInput = {}): Promise<AwsCloud> {
  const account = new Account({ clock: systemClock, random: Math.random, settings });
  const server = await startServer({ account });
  return { url: server.url, control: controlClient(server.url), close: () => server.close() };
}

export interface AlibabaCloud {
  /** Endpoint for any SDK. */
  readonly url: string;
  readonly control: SlbControlClient;
  close(): Promise<void>;
}

/** A simulated Alibaba Cloud account that speaks the SLB wire protocol. */
export async function startAlibabaCloud(settings: SlbSettingsInput = {}): Promise<AlibabaCloud> {
  const account = new SlbAccount({ clock: systemClock, random: Math.random, settings });
  const server = await startSlbServer({ account });
  return { url: server.url, control: slbControlClient(server.url), close: () => server.close() };
}
