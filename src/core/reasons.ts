/**
 * Every reason that Sluice gives: the stable codes of conditions, events, metric labels and `explain`.
 *
 * One table, because a code is a promise: alert rules and scripts match on it. The reference page is
 * generated from here, so a code without an explanation cannot exist. Where Kubernetes' own service
 * controller has a name for the same thing, that name is used (item 22 of the AWS notes).
 */

interface ReasonRow {
  /** What it means, in one sentence. */
  readonly means: string;
  /** What a person does about it; empty where nothing is to be done. */
  readonly cure: string;
}

export const reasons = {
  // ── progress ──
  Accepted: { means: 'The Service is understood in full.', cure: '' },
  Active: { means: 'The balancer carries traffic and its address is published.', cure: '' },
  InSync: { means: 'What the provider holds is what the Service asks for.', cure: '' },
  TargetsHealthy: { means: 'At least one target of every listener passes its health check.', cure: '' },
  EnsuringLoadBalancer: { means: 'A balancer is about to be created or changed.', cure: '' },
  EnsuredLoadBalancer: { means: 'The balancer is as the Service asks.', cure: '' },
  UpdatedLoadBalancer: { means: 'The targets follow a change of nodes or endpoints.', cure: '' },
  DeletingLoadBalancer: { means: 'The balancer is being removed.', cure: '' },
  DeletedLoadBalancer: { means: 'Everything that was made for the Service is gone.', cure: '' },
  PreservedOnDelete: {
    means: 'The Service asked for its balancer to be kept: it stays as it is, and is nobody’s now.',
    cure: 'Delete it by hand when it is not needed any more.',
  },
  LoadBalancerRecreated: {
    means: 'The balancer had vanished and was made anew; its address has changed.',
    cure: 'Let clients use the new address.',
  },
  DriftRepaired: { means: 'Something was changed behind our back and has been put right.', cure: '' },

  // ── waiting ──
  Provisioning: {
    means: 'The cloud is still bringing the balancer up.',
    cure: 'Wait; it takes minutes on some clouds.',
  },
  TargetsRegistering: {
    means: 'Targets are registered and not yet healthy.',
    cure: 'Wait for the first health checks.',
  },
  HandingOver: {
    means:
      'New targets are in place; the old ones stay until the new are healthy and the grace period is over.',
    cure: '',
  },
  Throttled: { means: 'The cloud asked us to slow down; the work goes on by itself.', cure: '' },
  Busy: { means: 'The cloud is still working on an earlier change of the same object.', cure: '' },
  NotCaughtUp: {
    means: 'The local picture is older than our last write; nothing is decided on it.',
    cure: '',
  },

  // ── the user's to mend ──
  InvalidAnnotation: { means: 'An annotation has a value that cannot be used.', cure: 'Correct the value.' },
  UnknownAnnotation: {
    means: 'An annotation looks like one of the provider but is not known and has no effect.',
    cure: 'Correct its spelling or remove it.',
  },
  UnsupportedAnnotation: {
    means: 'An annotation is known but not served by this version.',
    cure: 'Remove it, or use what the message names instead.',
  },
  IneffectiveSetting: { means: 'A setting has no effect in this combination.', cure: 'See the message.' },
  BandwidthNotEffective: {
    means:
      'A bandwidth is asked for, and the cloud does not apply it to a balancer that is charged this way.',
    cure: 'Choose the charge type that the message names, or remove the bandwidth.',
  },
  ConflictingSettings: { means: 'Two settings exclude each other.', cure: 'Remove one of them.' },
  UnsupportedProtocol: { means: 'The provider cannot balance this protocol.', cure: 'Use TCP or UDP.' },
  NodePortMissing: {
    means: 'A port has no node port, so nothing can be targeted.',
    cure: 'Set spec.allocateLoadBalancerNodePorts to true, or name a nodePort.',
  },
  TooManyPorts: {
    means: 'The Service has more ports than a balancer can have listeners.',
    cure: 'Split the Service.',
  },
  PortConflict: { means: 'Two ports of the Service cannot share one listener.', cure: 'See the message.' },
  NameConflict: {
    means: 'A resource of the wanted name exists and is not ours.',
    cure: 'Choose another name, or remove the other resource.',
  },
  SourceRangesNotEnforced: {
    means: 'Source ranges are set but the balancer has nothing that could enforce them.',
    cure: 'Name security groups that restrict the sources, or remove the ranges.',
  },
  ReplacementRequired: {
    means: 'The change is impossible on the existing balancer.',
    cure: 'Undo the change, or delete the Service and create it anew (the address changes).',
  },
  BalancerMissing: {
    means: 'The Service shows an address whose balancer is gone; a new one would have another address.',
    cure: 'Ask for a new balancer by the annotation that the message names, or restore the old one.',
  },
  DuplicateBalancer: {
    means: 'More than one balancer bears the mark of the Service; none of them is changed.',
    cure: 'Take the mark off all but one.',
  },
  CertificateUnusable: {
    means:
      'A certificate that is asked for does not exist or has expired; listeners keep the one that they have.',
    cure: 'Name another certificate.',
  },
  CertificateExpiring: {
    means: 'A certificate in use has expired or will within 30 days.',
    cure: 'Upload a new one and name it in the annotation.',
  },
  TakeOverDisturbs: {
    means:
      'What another controller made is not taken over, since the first pass afterwards would change how traffic flows.',
    cure: 'Let the other controller catch up, or change the Service so that it says what is there.',
  },
  ImmutableSetting: { means: 'The setting applies at creation only.', cure: 'Undo the change.' },
  ClassNotServed: {
    means: 'The class or provider named is not configured in this controller.',
    cure: 'See the message.',
  },
  InvalidConfig: { means: 'The settings file has a mistake.', cure: 'Correct the field named.' },
  DeletionProtected: {
    means: 'Deletion protection is on, and was not set by Sluice of its own accord.',
    cure: 'Switch the protection off, by annotation or in the console.',
  },

  // ── held back ──
  ClaimedElsewhere: {
    means: 'Another controller shows itself on the Service, so it is left alone.',
    cure: 'Set spec.loadBalancerClass on creation to say who serves it.',
  },
  Paused: {
    means: 'The Service is paused by annotation; nothing is changed.',
    cure: 'Remove the annotation sluice.dev/paused.',
  },
  PlanOnly: {
    means: 'The Service is in plan-only mode; the plan is shown and not applied.',
    cure: 'Remove the annotation sluice.dev/plan-only.',
  },
  RemovalHeld: {
    means:
      'A plan would take away more than half of the healthy targets, alone or with what went shortly before; it must persist before it is believed.',
    cure: 'Nothing if the nodes really are gone; else find out why they look gone.',
  },
  DriftReported: {
    means: 'The provider holds something else than the Service asks for; policy is to report only.',
    cure: '',
  },
  StraysFound: { means: 'Resources carry our mark but their Service is gone.', cure: 'See the message.' },

  // ── failures ──
  SyncLoadBalancerFailed: {
    means: 'The balancer could not be brought to the wanted state.',
    cure: 'See the message.',
  },
  UpdateLoadBalancerFailed: { means: 'The targets could not be updated.', cure: 'See the message.' },
  DeleteLoadBalancerFailed: { means: 'The balancer could not be removed yet.', cure: 'See the message.' },
  AccessDenied: { means: 'A permission or credential is missing.', cure: 'Allow the action named.' },
  QuotaExceeded: {
    means: 'A limit of the account is reached.',
    cure: 'Raise the quota named or free something.',
  },
  CloudRefused: {
    means: 'The cloud refused a call for a reason that only a change can mend.',
    cure: 'See the message.',
  },
  InternalError: { means: 'A defect of Sluice.', cure: 'Report it with the message.' },

  // ── targets and nodes left out ──
  UnAvailableLoadBalancer: {
    means: 'No node can be a target; the targets there are stay.',
    cure: 'See the reasons of the nodes.',
  },
  NoHealthyTargets: { means: 'No target passes its health check.', cure: 'See the reasons of the targets.' },
  SomeTargetsUnhealthy: {
    means: 'A listener has no healthy target.',
    cure: 'See the reasons of the targets.',
  },
  NodeDeleting: { means: 'The node is being deleted.', cure: '' },
  NodeExcluded: {
    means: 'The node carries the label node.kubernetes.io/exclude-from-external-load-balancers.',
    cure: 'Remove the label if the node should be a target.',
  },
  NodeToBeDeleted: { means: 'The cluster autoscaler is about to remove the node.', cure: '' },
  NodeNotSelected: { means: 'The node does not match the selector of the Service.', cure: '' },
  NodeWithoutEndpoint: { means: 'Policy Local: the node holds no endpoint of the Service.', cure: '' },
  NodeWithoutProviderID: {
    means: 'The node has no spec.providerID yet.',
    cure: 'Check the cloud node manager.',
  },
  NodeForeignProviderID: { means: 'The node is not an instance of this cloud.', cure: '' },
  TargetRefused: {
    means: 'The cloud refused this target; the others are registered.',
    cure: 'Check the instance.',
  },

  // ── the node agent ──
  RulesRefused: {
    means: 'The kernel refused the rules of this port; those of all others are in place.',
    cure: 'See the message; it is tried again every few minutes.',
  },
  RulesAccepted: { means: 'The kernel took rules that it had refused before.', cure: '' },
  DestinationTaken: {
    means:
      'Two Services ask for one address and port; one of them has it: a cluster IP before a balancer IP before an external IP, then the older Service.',
    cure: 'Take the destination out of one of the two Services.',
  },
  ForeignChange: {
    means: 'Another program changed or removed rules of ours; they have been written anew.',
    cure: 'Keep the program that is named from touching them.',
  },
  KernelDiffers: {
    means: 'The live kernel was found other than it had been written; it has been written anew.',
    cure: 'Find out which program changes rules on the node.',
  },
  FailedToStartServiceHealthcheck: {
    means: 'The health-check node port of the Service cannot be listened on; it is tried again.',
    cure: 'Stop the program that holds the port.',
  },
  NodePortTaken: {
    means: 'A program on the node is bound to a node port; what is asked there goes to the Service instead.',
    cure: 'Move the program to another port, or give the Service another node port.',
  },
  EphemeralPortsOverlap: {
    means: 'Node ports lie in the range from which the node takes source ports.',
    cure: 'Narrow net.ipv4.ip_local_port_range, or reserve the node ports.',
  },
  ForwardingOff: {
    means: 'The node does not forward packets of a family.',
    cure: 'Set the sysctl that the message names.',
  },
  SysctlNotSet: { means: 'A sysctl that was asked for could not be set.', cure: 'Set it on the node.' },
} as const satisfies Readonly<Record<string, ReasonRow>>;

export type ReasonCode = keyof typeof reasons;
