/**
 * The world of the agent's figures (peers.md B1): N cluster IPs with one TCP port and M ready endpoints each, one slice
 * each, endpoints spread over a hundred node names. Endpoints are addresses of ranges that one pod answers for.
 */
import type { EndpointSliceObject, ServiceObject } from '../../../src/core/objects.ts';
import { makeIntern } from '../../../src/kube/intern.ts';
import type { RawService, RawSlice } from '../../../src/kube/raw.ts';
import { slimService, slimSlice } from '../../../src/kube/slim.ts';
import type { Manifest } from '../../../src/sandbox/objects.ts';
import { clusterRange } from '../../../src/sandbox/bed/topology.ts';

export interface Size {
  readonly services: number;
  readonly endpoints: number;
}

/** Where the endpoints of the N Services are, and those of Services that a row makes for itself. */
export const endpointRanges = ['10.128.0.0/16', '10.129.0.0/16'] as const;
/** Endpoints are pods, as the client is. */
export const podRanges = [clusterRange.IPv4, ...endpointRanges] as const;
/** What the N Services are served at; rows serve their own Services at other ports. */
export const worldPort = 8080;

const nodeNames = 100;

export function sizeText({ services, endpoints }: Size): string {
  return `${services.toLocaleString('en')} × ${endpoints}`;
}

/** Cluster IP of Service number `index`, from 10.96.1.0 on. */
export function clusterIP(index: number): string {
  return `10.96.${1 + (index >> 8)}.${index & 255}`;
}

/** Address number `number` of a range of `endpointRanges`. */
export function address(range: 0 | 1, number: number): string {
  return `10.${128 + range}.${(number >> 8) & 255}.${number & 255}`;
}

export function serviceManifest(name: string, ip: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name },
    spec: {
      type: 'ClusterIP',
      clusterIP: ip,
      clusterIPs: [ip],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: worldPort }],
    },
  };
}

export function sliceOf(service: string, addresses: readonly string[], port: number): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'default',
      name: `${service}-1`,
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: addresses.map((each, at) => ({
      addresses: [each],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${at % nodeNames}`,
    })),
  };
}

const nameOf = (index: number): string => `svc-${index}`;

export function worldService(index: number): Manifest {
  return serviceManifest(nameOf(index), clusterIP(index));
}

/** Its endpoints; `without` the first so many of them. */
export function worldSlice(index: number, endpoints: number, without = 0): Manifest {
  const all = Array.from({ length: endpoints }, (_, at) => address(0, index * endpoints + at));
  return sliceOf(nameOf(index), all.slice(without), worldPort);
}

export interface Objects {
  readonly services: readonly ServiceObject[];
  readonly slices: readonly EndpointSliceObject[];
}

/** The world as the agent keeps it. */
export function worldObjects({ services, endpoints }: Size): Objects {
  const intern = makeIntern();
  const numbers = Array.from({ length: services }, (_, index) => index);
  return {
    services: numbers.map((index) => slimService(worldService(index) as RawService, intern)),
    slices: numbers.map((index) => slimSlice(worldSlice(index, endpoints) as RawSlice, intern)),
  };
}
