/**
 * Objects of the size that real clusters have: Nodes with images and managed fields, Services and
 * EndpointSlices as the control plane writes them. About 135 MB for the full counts.
 */

export interface Counts {
  readonly nodes: number;
  readonly services: number;
  readonly slices: number;
  /** Changes of slices told on the watch, after the lists. */
  readonly updates: number;
}

export const fullCounts: Counts = { nodes: 5_000, services: 10_000, slices: 20_000, updates: 5_000 };

export function nodeAt(index: number): object {
  const name = nodeName(index);
  const zone = `eu-west-1${'abc'[index % 3] ?? 'a'}`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      ...meta(name, index, `node${index}`),
      labels: {
        'beta.kubernetes.io/arch': 'amd64',
        'beta.kubernetes.io/instance-type': 'm6i.2xlarge',
        'beta.kubernetes.io/os': 'linux',
        'failure-domain.beta.kubernetes.io/region': 'eu-west-1',
        'failure-domain.beta.kubernetes.io/zone': zone,
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'node.kubernetes.io/instance-type': 'm6i.2xlarge',
        'topology.kubernetes.io/region': 'eu-west-1',
        'topology.kubernetes.io/zone': zone,
      },
      annotations: {
        'csi.volume.kubernetes.io/nodeid': `{"ebs.csi.aws.com":"${instance(index)}"}`,
        'node.alpha.kubernetes.io/ttl': '300',
        'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
      },
      managedFields: [
        managed('aws-cloud-controller-manager', ['spec', 'providerID'], 4),
        managed('kubelet', ['status', 'conditions'], 14),
        managed('kube-controller-manager', ['metadata', 'annotations'], 6),
      ],
    },
    spec: {
      podCIDR: `10.${(index >> 8) & 255}.${index & 255}.0/24`,
      podCIDRs: [`10.${(index >> 8) & 255}.${index & 255}.0/24`],
      providerID: `aws:///${zone}/${instance(index)}`,
    },
    status: {
      addresses: [
        { type: 'InternalIP', address: ip(index) },
        { type: 'Hostname', address: name },
        { type: 'InternalDNS', address: name },
      ],
      allocatable: { cpu: '7910m', 'ephemeral-storage': '95551679124', memory: '31482756Ki', pods: '58' },
      capacity: { cpu: '8', 'ephemeral-storage': '104845292Ki', memory: '32499588Ki', pods: '58' },
      conditions: ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map((type) => ({
        type,
        status: type === 'Ready' ? 'True' : 'False',
        lastHeartbeatTime: '2026-11-20T10:00:00Z',
        lastTransitionTime: '2026-11-01T10:00:00Z',
        reason: `Kubelet${type}`,
        message: `kubelet reports ${type}`,
      })),
      images: Array.from({ length: 25 }, (_, image) => ({
        names: [
          `registry.example.com/platform/component-${image}@sha256:${hex(image * 7919 + index, 64)}`,
          `registry.example.com/platform/component-${image}:v1.${image}.${index % 9}`,
        ],
        sizeBytes: 100_000_000 + image * 1_000_003,
      })),
      nodeInfo: {
        architecture: 'amd64',
        bootID: hex(index, 32),
        containerRuntimeVersion: 'containerd://2.1.4',
        kernelVersion: '6.12.40-63.114.amzn2023.x86_64',
        kubeletVersion: 'v1.36.3',
        machineID: hex(index, 32),
        operatingSystem: 'linux',
        osImage: 'Amazon Linux 2023.9.20260901',
        systemUUID: hex(index, 32),
      },
    },
  };
}

export function serviceAt(index: number): object {
  const name = `service-${index}`;
  const balanced = index % 20 === 0;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...meta(name, index, `service${index}`),
      namespace: `team-${index % 200}`,
      labels: { app: name, 'app.kubernetes.io/managed-by': 'Helm', 'helm.sh/chart': 'service-4.2.1' },
      annotations: {
        'meta.helm.sh/release-name': name,
        'meta.helm.sh/release-namespace': `team-${index % 200}`,
        description: 'x'.repeat(250),
      },
      managedFields: [managed('helm', ['spec', 'ports'], 11)],
    },
    spec: {
      type: balanced ? 'LoadBalancer' : 'ClusterIP',
      clusterIP: ip(index + 70_000),
      clusterIPs: [ip(index + 70_000)],
      internalTrafficPolicy: 'Cluster',
      ...(balanced ? { externalTrafficPolicy: 'Cluster', allocateLoadBalancerNodePorts: true } : {}),
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [
        {
          name: 'http',
          port: 80,
          protocol: 'TCP',
          targetPort: 'http',
          ...(balanced ? { nodePort: 30_000 } : {}),
        },
        { name: 'metrics', port: 9090, protocol: 'TCP', targetPort: 9090 },
      ],
      selector: { app: name, 'app.kubernetes.io/instance': name },
      sessionAffinity: 'None',
    },
    status: { loadBalancer: {} },
  };
}

export function sliceAt(index: number, version = index): object {
  const service = `service-${index >> 1}`;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...meta(`${service}-${hex(index, 5)}`, version, `slice${index}`),
      namespace: `team-${(index >> 1) % 200}`,
      generateName: `${service}-`,
      labels: {
        app: service,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        'kubernetes.io/service-name': service,
      },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-11-20T10:00:00Z' },
      ownerReferences: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          name: service,
          uid: hex(index >> 1, 32),
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [managed('kube-controller-manager', ['endpoints', 'ports'], 6)],
    },
    addressType: 'IPv4',
    ports: [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'metrics', port: 9090, protocol: 'TCP' },
    ],
    endpoints: Array.from({ length: 5 }, (_, endpoint) => ({
      addresses: [ip(index * 5 + endpoint + 200_000)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: nodeName((index * 5 + endpoint) % 5_000),
      targetRef: {
        kind: 'Pod',
        name: `${service}-7d9c6b5f4-${hex(index * 5 + endpoint, 5)}`,
        namespace: `team-${(index >> 1) % 200}`,
        uid: hex(index * 5 + endpoint, 32),
      },
      zone: `eu-west-1${'abc'[endpoint % 3] ?? 'a'}`,
    })),
  };
}

function meta(name: string, version: number, salt: string) {
  return {
    name,
    uid: `7c0e9a52-41d7-4f0b-9d5e-${salt.padStart(12, '0')}`,
    resourceVersion: String(1_000_000 + version),
    creationTimestamp: '2026-10-01T10:00:00Z',
  };
}

/** Fields of `managedFields`, `entries` leaves long. */
function managed(manager: string, path: readonly [string, string], entries: number): object {
  const leaves = Object.fromEntries(
    Array.from({ length: entries }, (_, entry) => [
      `k:{"type":"${manager}-${entry}"}`,
      { '.': {}, 'f:status': {}, 'f:lastHeartbeatTime': {} },
    ]),
  );
  return {
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1: { [`f:${path[0]}`]: { [`f:${path[1]}`]: leaves } },
    manager,
    operation: 'Update',
    time: '2026-11-20T10:00:00Z',
  };
}

function nodeName(index: number): string {
  return `ip-${ip(index).replaceAll('.', '-')}.eu-west-1.compute.internal`;
}

function instance(index: number): string {
  return `i-${hex(index, 17)}`;
}

function ip(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}

function hex(value: number, digits: number): string {
  return (value * 2_654_435_761).toString(16).padStart(digits, '0').slice(-digits);
}
