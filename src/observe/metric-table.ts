/**
 * Every metric that Sluice exports, in one table: the registry and the reference page are made from it, so
 * that a metric without an explanation cannot exist.
 *
 * Names are a promise: dashboards and alert rules match on them. Where Kubernetes' own service controller
 * has a metric for the same thing, its name is used, so that an existing dashboard goes on working.
 */
import { agentMetricTable } from './agent-metric-table.ts';
import type { MetricRow } from './metric-row.ts';

/** From a cached read to a call that was throttled for a long time. */
const callSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From an address within a second to a cloud that takes ten minutes. */
const waitSeconds = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1800];

export const metricTable = {
  // ── names of Kubernetes' service controller ──
  syncs: {
    type: 'counter',
    name: 'service_controller_loadbalancer_sync_total',
    help: 'Passes that changed something about a balancer, as an effect of Services, nodes or endpoints.',
    labels: [],
  },
  nodeSyncSeconds: {
    type: 'histogram',
    name: 'service_controller_nodesync_latency_seconds',
    help: 'Time to carry a change of nodes to every Service that it concerns.',
    labels: [],
    buckets: waitSeconds,
  },
  nodeSyncErrors: {
    type: 'counter',
    name: 'service_controller_nodesync_error_total',
    help: 'Services whose targets could not follow a change of nodes at the first try.',
    labels: [],
  },
  hostUpdateSeconds: {
    type: 'histogram',
    name: 'service_controller_update_loadbalancer_host_latency_seconds',
    help: 'Time of one pass that changed the targets of a Service.',
    labels: [],
    buckets: callSeconds,
  },

  // ── queue and passes ──
  queueDepth: {
    type: 'gauge',
    name: 'sluice_queue_depth',
    help: 'Services that wait for a worker.',
    labels: [],
  },
  queueAge: {
    type: 'gauge',
    name: 'sluice_queue_oldest_seconds',
    help: 'How long the first of them has been waiting.',
    labels: [],
  },
  queueWorking: {
    type: 'gauge',
    name: 'sluice_queue_working',
    help: 'Services that are being worked on.',
    labels: [],
  },
  queueRetries: {
    type: 'counter',
    name: 'sluice_queue_retries_total',
    help: 'Passes that failed and were queued again.',
    labels: [],
  },
  passSeconds: {
    type: 'histogram',
    name: 'sluice_reconcile_seconds',
    help: 'Time of one pass over one Service. Result: unchanged, changed, waiting or failed.',
    labels: ['provider', 'result'],
    buckets: callSeconds,
  },
  stageSeconds: {
    type: 'histogram',
    name: 'sluice_reconcile_stage_seconds',
    help: 'Time of one stage of a pass: parse, observe, plan, apply or tell.',
    labels: ['provider', 'stage'],
    buckets: callSeconds,
  },
  skips: {
    type: 'counter',
    name: 'sluice_skipped_total',
    help: 'Passes that left a Service alone, by reason.',
    labels: ['reason'],
  },

  // ── clouds ──
  cloudCalls: {
    type: 'counter',
    name: 'sluice_cloud_calls_total',
    help: "Calls to a cloud, by the cloud's name of the operation. Outcome: ok, or the kind of error.",
    labels: ['provider', 'operation', 'outcome'],
  },
  cloudSeconds: {
    type: 'histogram',
    name: 'sluice_cloud_call_seconds',
    help: 'Time of one call to a cloud, waiting for its turn not included.',
    labels: ['provider', 'operation'],
    buckets: callSeconds,
  },
  cloudThrottles: {
    type: 'counter',
    name: 'sluice_cloud_throttled_total',
    help: 'Calls that a cloud answered with "slow down".',
    labels: ['provider', 'operation'],
  },
  cloudWaitSeconds: {
    type: 'histogram',
    name: 'sluice_cloud_wait_seconds',
    help: 'How long a call waited for its turn under our own rate limit.',
    labels: ['provider'],
    buckets: callSeconds,
  },

  // ── plans ──
  steps: {
    type: 'counter',
    name: 'sluice_plan_steps_total',
    help: 'Steps carried out. Risk: none, disruptive or destructive. Outcome: ok, or the kind of error.',
    labels: ['provider', 'operation', 'risk', 'outcome'],
  },
  held: {
    type: 'counter',
    name: 'sluice_guard_held_total',
    help: 'Times that the guard held back steps that would have removed too much.',
    labels: [],
  },
  drift: {
    type: 'counter',
    name: 'sluice_drift_steps_total',
    help: 'Steps needed because something was changed behind our back.',
    labels: ['provider'],
  },
  strays: {
    type: 'gauge',
    name: 'sluice_strays',
    help: 'Owners whose Service is gone while resources with our mark are still there.',
    labels: ['provider'],
  },

  // ── what users see ──
  addressSeconds: {
    type: 'histogram',
    name: 'sluice_address_seconds',
    help: 'From the moment a Service asked for a balancer to the address in its status.',
    labels: ['provider'],
    buckets: waitSeconds,
  },
  healthySeconds: {
    type: 'histogram',
    name: 'sluice_first_healthy_seconds',
    help: 'From the moment a Service asked for a balancer to its first healthy target.',
    labels: ['provider'],
    buckets: waitSeconds,
  },
  conditions: {
    type: 'gauge',
    name: 'sluice_service_conditions',
    help: 'Services by condition, its status and its reason.',
    labels: ['condition', 'status', 'reason'],
  },
  poolAddresses: {
    type: 'gauge',
    name: 'sluice_pool_addresses',
    help: 'Addresses of an AddressPool: in use, or free. Those that drain are in neither.',
    labels: ['pool', 'ip_family', 'state'],
  },
  poolWaiting: {
    type: 'gauge',
    name: 'sluice_pool_waiting',
    help: 'Services that wait for an address of the AddressPool.',
    labels: ['pool'],
  },

  // ── the process ──
  readerSynced: {
    of: 'both',
    type: 'gauge',
    name: 'sluice_reader_synced',
    help: '1 when the list of this kind is complete.',
    labels: ['kind'],
  },
  readerSilence: {
    of: 'both',
    type: 'gauge',
    name: 'sluice_reader_silence_seconds',
    help: 'How long ago the API server was last heard of for this kind; bookmarks count.',
    labels: ['kind'],
  },
  readerObjects: {
    of: 'both',
    type: 'gauge',
    name: 'sluice_reader_objects',
    help: 'Objects held.',
    labels: ['kind'],
  },
  readerLists: {
    of: 'both',
    type: 'gauge',
    name: 'sluice_reader_lists',
    help: 'Full lists since the start.',
    labels: ['kind'],
  },
  readerFailures: {
    of: 'both',
    type: 'gauge',
    name: 'sluice_reader_failures',
    help: 'Lists and watches that failed since the start.',
    labels: ['kind'],
  },
  leaseHeld: {
    type: 'gauge',
    name: 'sluice_lease_held',
    help: '1 in the replica that holds the lease.',
    labels: [],
  },
  build: {
    of: 'both',
    type: 'gauge',
    name: 'sluice_build_info',
    help: 'Always 1; the labels tell the versions.',
    labels: ['version', 'node'],
  },

  ...agentMetricTable,
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricId = keyof typeof metricTable;
