/**
 * How a command reaches the cluster, where its settings are, in which form it answers, and what it logs: flags that
 * several commands share.
 */
import type { Clock, Random } from '../core/clock.ts';
import type { Connection } from '../kube/connection.ts';
import { logLevels } from '../observe/log-level.ts';
import { version } from './version.ts';

export const accessFlags = {
  kubeconfig: {
    kind: 'string',
    value: 'FILE',
    help: "Access to the cluster; default: KUBECONFIG, then the Pod's own, then ~/.kube/config",
  },
  context: { kind: 'string', value: 'NAME', help: 'Context of the kubeconfig; default: its current one' },
} as const;

export const configFlag = {
  kind: 'string',
  value: 'FILE',
  env: 'SLUICE_CONFIG',
  help: 'Settings file (apiVersion sluice.dev/v1alpha1, kind Config)',
} as const;

/** The form of a command's answer. */
export const outputFlag = {
  kind: 'choice',
  choices: ['text', 'json'],
  default: 'text',
  short: 'o',
  help: 'Form of the answer',
} as const;

/** What a program that runs on writes of itself. */
export const logFlags = {
  'log-level': {
    kind: 'choice',
    choices: logLevels,
    default: 'info',
    env: 'SLUICE_LOG_LEVEL',
    help: 'Least level that is written',
  },
  'log-form': {
    kind: 'choice',
    choices: ['json', 'text'],
    env: 'SLUICE_LOG_FORM',
    help: 'Default: text on a terminal, else json',
  },
} as const;

/** @throws SluiceError where no access is configured, or where it cannot be read. */
export async function connectBy(
  flags: { readonly kubeconfig: string | undefined; readonly context: string | undefined },
  more: { readonly clock?: Clock; readonly random?: Random; readonly server?: string | undefined } = {},
): Promise<Connection> {
  // Flags are read by every command, and only some of them connect.
  const { connect } = await import('../kube/connection.ts');
  return await connect({
    path: flags.kubeconfig,
    context: flags.context,
    userAgent: `sluice/${version}`,
    ...more,
  });
}
