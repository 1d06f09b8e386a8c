/** What the codes of an answer mean, each in one sentence: for texts and for the generated reference. */
import type { NotServed } from '../decide/service.ts';
import type { Branch } from '../evaluate.ts';

export const answerReasons = {
  Balanced: 'One of the endpoints gets the connection.',
  NoEndpoints: 'No endpoint exists anywhere, so the client is told at once (port unreachable).',
  NoLocalEndpoints:
    'Endpoints exist, but none on this node, and the policy is Local: silence, so that a balancer tries another node.',
  OutsideSourceRanges: 'The source is outside loadBalancerSourceRanges: silence.',
  UndefinedPort:
    'The address is a cluster IP, but no Service has this port and protocol there: the client is told at once.',
  UnallocatedAddress: 'The address lies in the range of cluster IPs, and no Service has it: silence.',
  NoService: 'No Service has this destination: the packet goes on as it is.',
  NotServedHere:
    'A Service has this destination, but it is not served by the agent of this node: the packet goes on as it is.',
} as const;

export type AnswerReason = keyof typeof answerReasons;

export const notServedReasons: Readonly<Record<NotServed, string>> = {
  ExternalName: 'It is of type ExternalName: a name, without rules.',
  Headless: 'It is headless: names lead straight to its endpoints.',
  HiddenByLabel: 'It carries the label service.kubernetes.io/headless, which hides it from every proxy.',
  OtherProxy: 'Its label service.kubernetes.io/service-proxy-name names another proxy.',
  NotLabelled:
    'The agent runs beside kube-proxy (--scope labelled), and the Service does not carry service.kubernetes.io/service-proxy-name=sluice.',
};

export const branchWords: Readonly<Record<Branch, string>> = {
  'other-family': 'another address family',
  'not-ours': 'no destination of a Service',
  internal: 'the cluster IP, by internalTrafficPolicy',
  'external-cluster':
    'an external destination under externalTrafficPolicy Cluster: every endpoint, masqueraded',
  'local-pod':
    'an external destination under externalTrafficPolicy Local, asked by a pod: every endpoint, source kept',
  'local-process':
    'an external destination under externalTrafficPolicy Local, asked by a process of the node: every endpoint, masqueraded',
  'local-other':
    'an external destination under externalTrafficPolicy Local, asked from outside: endpoints of this node, source kept',
  guard: 'the source ranges, which are asked before anything else',
  'undefined-port': 'a cluster IP without this port',
  unallocated: 'an address of the Service range that no Service has',
};
