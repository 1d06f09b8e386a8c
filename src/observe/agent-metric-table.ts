/**
 * The metrics of the node agent. Where kube-proxy has a metric for the same thing its name is used, so that its
 * dashboards and alert rules go on working; labels are added, never left out.
 */
import type { MetricRow } from './metric-row.ts';

/** From a single map element to a first load of a large cluster over a slow tool. */
const syncSeconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** kube-proxy's own bounds reach to minutes; a cluster that is worth watching is far below one second. */
const programmingSeconds = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300,
];

export const agentMetricTable = {
  // ── names of kube-proxy ──
  proxySync: {
    of: 'agent',
    type: 'histogram',
    name: 'kubeproxy_sync_proxy_rules_duration_seconds',
    help: 'Time of one write to the kernel.',
    labels: ['ip_family'],
    buckets: syncSeconds,
  },
  proxyFullSync: {
    of: 'agent',
    type: 'histogram',
    name: 'kubeproxy_sync_full_proxy_rules_duration_seconds',
    help: 'Time of one write of everything: the first one, and after a failure or a foreign change.',
    labels: ['ip_family'],
    buckets: syncSeconds,
  },
  proxyPartialSync: {
    of: 'agent',
    type: 'histogram',
    name: 'kubeproxy_sync_partial_proxy_rules_duration_seconds',
    help: 'Time of one write of what has changed.',
    labels: ['ip_family'],
    buckets: syncSeconds,
  },
  networkProgramming: {
    of: 'agent',
    type: 'histogram',
    name: 'kubeproxy_network_programming_duration_seconds',
    help: 'From the change that triggered an EndpointSlice (its trigger-time annotation, in whole seconds at some writers) until the kernel has it.',
    labels: ['ip_family'],
    buckets: programmingSeconds,
  },
  proxySyncedAt: {
    of: 'agent',
    type: 'gauge',
    name: 'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    help: 'When the kernel was last written, in seconds since 1970.',
    labels: ['ip_family'],
  },
  proxyQueuedAt: {
    of: 'agent',
    type: 'gauge',
    name: 'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
    help: 'When a write was last asked for, in seconds since 1970.',
    labels: ['ip_family'],
  },
  proxyEndpointChanges: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    help: 'Changes of EndpointSlices that were heard of.',
    labels: [],
  },
  proxyServiceChanges: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_sync_proxy_rules_service_changes_total',
    help: 'Changes of Services that were heard of.',
    labels: [],
  },
  proxyRestoreFailures: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_sync_proxy_rules_iptables_restore_failures_total',
    help: 'Failed writes of the iptables backend.',
    labels: ['ip_family'],
  },
  proxyPartialRestoreFailures: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total',
    help: 'Failed writes of the iptables backend that were to write only what had changed.',
    labels: ['ip_family'],
  },
  proxyNftablesFailures: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total',
    help: 'Failed writes of the nftables backend.',
    labels: ['ip_family'],
  },
  proxyNoLocalEndpoints: {
    of: 'agent',
    type: 'gauge',
    name: 'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
    help: 'Service ports whose traffic of this policy (internal or external) is dropped here, for want of an endpoint on this node.',
    labels: ['ip_family', 'traffic_policy'],
  },
  proxyHealthz: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_proxy_healthz_total',
    help: 'Answers of /healthz.',
    labels: ['code'],
  },
  proxyLivez: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_proxy_livez_total',
    help: 'Answers of /livez.',
    labels: ['code'],
  },
  conntrackSeconds: {
    of: 'agent',
    type: 'histogram',
    name: 'kubeproxy_conntrack_reconciler_sync_duration_seconds',
    help: 'Time of one look at the connection tracking table, deletions included.',
    labels: ['ip_family'],
    buckets: syncSeconds,
  },
  conntrackDeleted: {
    of: 'agent',
    type: 'counter',
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    help: 'Tracked flows that were forgotten because who answered them serves no more.',
    labels: ['ip_family'],
  },

  // ── of ours ──
  changeSeconds: {
    of: 'agent',
    type: 'histogram',
    name: 'sluice_agent_change_seconds',
    help: 'From the moment the agent heard of a change until the kernel has it, gathering included.',
    labels: ['ip_family'],
    buckets: syncSeconds,
  },
  kernelOperations: {
    of: 'agent',
    type: 'counter',
    name: 'sluice_agent_kernel_operations_total',
    help: 'Elements, rules and chains sent to the kernel.',
    labels: ['ip_family', 'backend'],
  },
  decisions: {
    of: 'agent',
    type: 'gauge',
    name: 'sluice_agent_decisions',
    help: 'Service ports that are served on this node.',
    labels: ['ip_family'],
  },
  pendingChanges: {
    of: 'agent',
    type: 'gauge',
    name: 'sluice_agent_pending_changes',
    help: 'Service ports whose change has not been written yet.',
    labels: ['ip_family'],
  },
  waitingSeconds: {
    of: 'agent',
    type: 'gauge',
    name: 'sluice_agent_waiting_seconds',
    help: 'How long the oldest change has been waiting to be written; 0 when none is.',
    labels: ['ip_family'],
  },
  quarantined: {
    of: 'agent',
    type: 'gauge',
    name: 'sluice_agent_quarantined',
    help: 'Service ports that the kernel refused and that are left out.',
    labels: ['ip_family'],
  },
  foreignChanges: {
    of: 'agent',
    type: 'counter',
    name: 'sluice_agent_foreign_changes_total',
    help: 'Times that another program changed or removed rules of ours, and they were written anew.',
    labels: ['ip_family'],
  },
  kernelDifferences: {
    of: 'agent',
    type: 'gauge',
    name: 'sluice_agent_kernel_differences',
    help: 'Differences between the kernel and what was written, at the last look.',
    labels: ['ip_family'],
  },
  verifySeconds: {
    of: 'agent',
    type: 'histogram',
    name: 'sluice_agent_verify_seconds',
    help: 'Time of one look at the live kernel.',
    labels: ['ip_family'],
    buckets: syncSeconds,
  },
  healthListeners: {
    of: 'agent',
    type: 'gauge',
    name: 'sluice_agent_health_listeners',
    help: 'Sockets that answer at health-check node ports.',
    labels: [],
  },

  // ── of Services, with --counters ──
  serviceConnections: {
    of: 'agent',
    type: 'counter',
    name: 'sluice_service_connections_total',
    help: 'New connections through this node that were given an endpoint; with --counters=connections or bytes.',
    labels: ['service', 'port', 'ip_family'],
  },
  serviceDropped: {
    of: 'agent',
    type: 'counter',
    name: 'sluice_service_dropped_connections_total',
    help: 'New connections through this node that were not served: no endpoint (rejected), none that the policy allows here, a source outside the ranges. What is tried again counts again.',
    labels: ['service', 'port', 'ip_family', 'reason'],
  },
  serviceBytes: {
    of: 'agent',
    type: 'counter',
    name: 'sluice_service_bytes_total',
    help: 'Bytes of whole IP packets through this node, to a Service (in) and back (out); with --counters=bytes.',
    labels: ['service', 'port', 'ip_family', 'direction'],
  },
} as const satisfies Readonly<Record<string, MetricRow>>;
