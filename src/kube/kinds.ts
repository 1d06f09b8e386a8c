/** The kinds that are read: where each lives, how it is keyed and how it is made slim. */
import type {
  EndpointSliceObject,
  Meta,
  NodeName,
  NodeObject,
  ObjectKey,
  ServiceObject,
} from '../core/objects.ts';
import { objectKey } from '../core/objects.ts';
import { makeIntern } from './intern.ts';
import type { Intern } from './intern.ts';
import type { Shape } from './protobuf/shape.ts';
import { nodeShape, serviceShape, sliceShape } from './protobuf/shapes.ts';
import type { RawObject } from './raw.ts';
import { slimNode, slimService, slimSlice } from './slim.ts';
import { withoutManagedFields } from './trim.ts';

/** The least that the reader needs to know of an object. */
export type Slim = Pick<Meta, 'uid' | 'resourceVersion'>;

/** `K` is the type of the keys: `namespace/name`, or the name of what has no namespace. */
export interface Kind<K extends string, T extends Slim> {
  /** Only for the type system: never set. */
  readonly keys?: K;
  /** Plural, for messages and metric labels. */
  readonly name: string;
  /** Of the collection, all namespaces: `/api/v1/services`. */
  readonly path: string;
  /** Sent with each list and watch; a change of it needs a new reader. */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What `slim` looks at, in the API's binary form; without it JSON is asked for. */
  readonly shape?: Shape;
  /** Cuts text that `slim` does not look at, before it is parsed. */
  readonly trim?: (text: string) => string;
  /** May throw on an object that it cannot read: that one object is reported and passed over. */
  readonly slim: (raw: RawObject) => T;
}

/** The key of an object as the API sends it. */
export function keyOf(raw: RawObject): string {
  const { namespace, name = '' } = raw.metadata ?? {};
  return namespace === undefined || namespace === '' ? name : objectKey(namespace, name);
}

export interface KindOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Share one among the kinds that name the same nodes and zones. */
  readonly intern?: Intern;
}

export function services(options: KindOptions = {}): Kind<ObjectKey, ServiceObject> {
  const intern = options.intern ?? makeIntern();
  return {
    name: 'services',
    path: '/api/v1/services',
    ...selector(options),
    shape: serviceShape,
    // Who wrote the addresses is of interest, and only that.
    trim: (text) => withoutManagedFields(text, '"f:loadBalancer"'),
    slim: (raw) => slimService(raw, intern),
  };
}

export function nodes(options: KindOptions = {}): Kind<NodeName, NodeObject> {
  const intern = options.intern ?? makeIntern();
  return {
    name: 'nodes',
    path: '/api/v1/nodes',
    ...selector(options),
    shape: nodeShape,
    trim: (text) => withoutManagedFields(text),
    slim: (raw) => slimNode(raw, intern),
  };
}

export function endpointSlices(options: KindOptions = {}): Kind<ObjectKey, EndpointSliceObject> {
  const intern = options.intern ?? makeIntern();
  return {
    name: 'endpointslices',
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    ...selector(options),
    shape: sliceShape,
    trim: (text) => withoutManagedFields(text),
    slim: (raw) => slimSlice(raw, intern),
  };
}

/** Index for slices: the Service that each belongs to. */
export function byService(slice: EndpointSliceObject): ObjectKey | undefined {
  return slice.service;
}

function selector(options: KindOptions): Pick<KindOptions, 'labelSelector' | 'fieldSelector'> {
  const { labelSelector, fieldSelector } = options;
  return {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
}
