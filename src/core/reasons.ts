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

  // ── addresses from pools (provider local) ──
  PoolReady: { means: 'The pool gives out addresses.', cure: '' },
  PoolInvalid: {
    means: 'An address pool has a mistake; it gives out nothing, and what it gave out before stays.',
    cure: 'Correct the field that the message names.',
  },
  PoolOverlap: {
    means: 'Two address pools share addresses; the one created later is refused.',
    cure: 'Take the shared addresses out of one of the two.',
  },
  PoolRefused: {
    means: 'The pool that the Service names has a mistake.',
    cure: 'See the conditions of the pool: kubectl get addresspools.',
  },
  PoolUnknown: {
    means: 'The pool that the Service names does not exist.',
    cure: 'Correct the name, or create the pool; kubectl get addresspools lists them.',
  },
  PoolNotAllowed: {
    means: 'The pool does not serve the namespace or the labels of the Service.',
    cure: 'Name another pool, or widen the selectors of this one.',
  },
  NoPool: {
    means: 'No address pool gives addresses to this Service.',
    cure: 'Create an AddressPool; `sluice local pools --propose` suggests one.',
  },
  PoolExhausted: {
    means: 'All addresses of the pools for this Service are in use; it is served when one becomes free.',
    cure: 'Add addresses to a pool, or delete a Service that needs none.',
  },
  FamilyMissing: {
    means: 'The pools for this Service have no addresses of a family that it needs.',
    cure: 'Add a range of the family to a pool, or change spec.ipFamilyPolicy.',
  },
  AddressOutsidePools: {
    means: 'The address that the Service asks for is in no pool that it may take it from.',
    cure: 'Ask for another address, or add this one to a pool.',
  },
  AddressInUse: {
    means: 'The address that the Service asks for belongs to another Service, and cannot be shared with it.',
    cure: 'Ask for another address, or give both Services the same sharing key and different ports.',
  },
  AddressTaken: {
    means: 'Something on the link that is not ours has the address.',
    cure: 'Find the device by the MAC address that is named, or take the address out of the pool.',
  },
  AddressDraining: {
    means: 'The Service keeps an address that its pool no longer has.',
    cure: 'Agree to another one by annotation sluice.dev/allow-move, or by moveOnShrink of the pool.',
  },
  AddressProbing: { means: 'An agent asks the link whether anybody has the address.', cure: '' },
  NoAgent: {
    means: 'No agent has said whether the address is free, so it is not given out.',
    cure: 'Check that the agent runs: kubectl get pods --all-namespaces -l app.kubernetes.io/name=sluice,app.kubernetes.io/component=agent.',
  },
  ProbeFailed: {
    means: 'The agent could not ask the link about the address.',
    cure: 'See the message; it is tried again.',
  },
  NotAnnounced: {
    means: 'No node holds the address yet.',
    cure: 'See the conditions of its ServiceAddress.',
  },
  Draining: {
    means: 'Services hold addresses that the pool no longer has; they keep them.',
    cure: 'Put the addresses back, or set moveOnShrink to let the Services move.',
  },
  ForeignWriter: {
    means:
      'Another controller writes the address of the Service as well; it is left alone until one of them stops.',
    cure: 'Give the Service a class of its own, as the message says, or keep the other controller off it.',
  },

  // ── the user's to mend ──
  InvalidAnnotation: { means: 'An annotation has a value that cannot be used.', cure: 'Correct the value.' },
  UnknownAnnotation: {
    means: 'An annotation looks like one of ours or of the provider, but is not known and has no effect.',
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

  NoAddress: {
    means: 'No address is free that the Service may have.',
    cure: 'Widen the range that addresses are taken from.',
  },
  PortMoved: {
    means: 'Laptop mode: a port is served under another number, which the message names.',
    cure: 'Run `sluice local setup` for ports below 1024, or use the port that is named.',
  },
  PortTaken: {
    means: 'Laptop mode: no port of the shared address is free.',
    cure: 'Delete Services that are not needed.',
  },
  PortInUse: {
    means: 'Laptop mode: another program on this machine listens on the port of the Service.',
    cure: 'Stop that program, which the command in the message finds; the port is tried again by itself.',
  },
  PortNotAllowed: {
    means: 'Laptop mode: this user may not open the port.',
    cure: 'Run `sluice local setup` once.',
  },
  AddressNotHere: {
    means: 'Laptop mode: the address is none of this machine.',
    cure: 'Run `sluice local setup --pool` for the range, or leave --pool out.',
  },
  UdpNotForwarded: {
    means: 'Laptop mode: the nodes are reached through the API server, which carries TCP only.',
    cure: 'Make the node ports reachable from this machine.',
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
  NodeWithoutAddress: { means: 'The node shows no InternalIP.', cure: 'Check the kubelet of the node.' },
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
  HashNotPossible: {
    means:
      'The Service asks to be balanced by a hash, which this node cannot do with iptables; it is balanced at random.',
    cure: 'Load the kernel module xt_bpf and restart the agent, or use the nftables backend.',
  },
  AffinityMemoryFull: {
    means:
      'With iptables the kernel remembers a hundred clients of an endpoint; a Service with client affinity has nearly as many.',
    cure: 'Load the kernel module xt_recent with a larger ip_list_tot, or use the nftables backend.',
  },
  ForwardingOff: {
    means: 'The node does not forward packets of a family.',
    cure: 'Set the sysctl that the message names.',
  },
  ConntrackNearlyFull: {
    means: 'The connection tracking table of the node has less than a tenth of its room left.',
    cure: 'Raise net.netfilter.nf_conntrack_max on the node.',
  },
  ConntrackFull: {
    means:
      'The connection tracking table of the node is full: its kernel drops new connections, whatever the rules say.',
    cure: 'Raise net.netfilter.nf_conntrack_max on the node.',
  },
  SysctlNotSet: { means: 'A sysctl that was asked for could not be set.', cure: 'Set it on the node.' },

  // ── announcing (local mode) ──
  Announced: { means: 'A node answers for the address.', cure: '' },
  NoEligibleNode: {
    means: 'No node may announce the address, so nobody answers for it.',
    cure: 'See the reasons of the nodes in the message.',
  },
  NoAgentThere: {
    means: 'Nodes may announce the address, and on none of them an agent is heard.',
    cure: 'Run the agent with --announce on the nodes that the message names.',
  },
  InterfaceMissing: {
    means: 'The pool names an interface that the nodes do not have.',
    cure: 'Correct spec.interfaces of the pool, or its node selectors.',
  },
  LinkDown: { means: 'The interface to announce on is down.', cure: 'Bring the interface up.' },
  NoLink: {
    means: 'No interface has a network with the address, and none has the default route.',
    cure: 'Name the interface in spec.interfaces of the pool.',
  },
  AnnounceRefused: {
    means: 'The kernel refused the address.',
    cure: 'See the message; it is tried again every half minute.',
  },
  AddressContested: {
    means: 'Another host on the link says that the address is its own.',
    cure: 'Take the address off that host, or out of the pool.',
  },
  NoMajority: {
    means:
      'This node hears no majority of the agents and does not have the Lease that breaks ties, so it announces nothing.',
    cure: 'Check that UDP to the heartbeat port passes between the nodes.',
  },
  NodeNetworkUnavailable: { means: 'The node has condition NetworkUnavailable.', cure: '' },
} as const satisfies Readonly<Record<string, ReasonRow>>;

export type ReasonCode = keyof typeof reasons;
