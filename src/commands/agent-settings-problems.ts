/** What is wrong with the settings of an agent, in the words of who typed them: by flag. */
import { checkSettings } from '../agent/decide/settings-check.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import type { Problem } from '../core/problems.ts';
import type { AgentFlags } from './agent-flags.ts';

const flagOf: Readonly<Record<string, keyof AgentFlags>> = {
  nodeName: 'node-name',
  families: 'ip-families',
  'detectLocal.cidrs': 'cluster-cidr',
  'detectLocal.name': 'pod-interface',
  'detectLocal.prefix': 'pod-interface',
  nodePortAddresses: 'nodeport-addresses',
  localhostNodePorts: 'localhost-nodeports',
  markBit: 'mark-bit',
  serviceRanges: 'service-cidr',
};

/** Every problem; errors keep the agent from starting. Fields are flags. */
export function settingsProblems(settings: AgentSettings): readonly Problem[] {
  return checkSettings(settings).map((problem) => {
    const flag = flagOf[problem.field];
    return flag === undefined ? problem : { ...problem, field: `--${flag}` };
  });
}
