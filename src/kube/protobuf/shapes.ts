/**
 * Services, Nodes and EndpointSlices in protobuf, as far as the transforms (slim.ts) look at them.
 *
 * Numbers and names are those of `generated.proto` beside the API's Go types (k8s.io/api, k8s.io/apimachinery). A number,
 * once given, never means anything else: the API promises it for the life of a version.
 */
import { flag, integer, map, message, messages, pointer, shape, text, texts, time } from './shape.ts';

const meta = {
  1: text('name'),
  3: text('namespace'),
  5: text('uid'),
  6: text('resourceVersion'),
  9: time('deletionTimestamp'),
  11: map('labels'),
  12: map('annotations'),
} as const;

const serviceMeta = shape({
  ...meta,
  7: integer('generation'),
  8: time('creationTimestamp'),
  14: texts('finalizers'),
  // Who wrote the addresses is of interest, and only that.
  17: messages(
    'managedFields',
    shape({
      1: text('manager'),
      7: { kind: 'fields', name: 'fieldsV1', needle: '"f:loadBalancer"' },
      8: text('subresource'),
    }),
  ),
});

const condition = shape({
  1: text('type'),
  2: text('status'),
  3: integer('observedGeneration'),
  4: time('lastTransitionTime'),
  5: text('reason'),
  6: text('message'),
});

export const serviceShape = shape({
  1: message('metadata', serviceMeta),
  2: message(
    'spec',
    shape({
      1: messages(
        'ports',
        shape({
          1: text('name'),
          2: text('protocol'),
          3: integer('port'),
          4: { kind: 'number-or-name', name: 'targetPort' },
          5: integer('nodePort'),
          6: pointer(text('appProtocol')),
        }),
      ),
      2: map('selector'),
      3: text('clusterIP'),
      4: text('type'),
      5: texts('externalIPs'),
      7: text('sessionAffinity'),
      8: text('loadBalancerIP'),
      9: texts('loadBalancerSourceRanges'),
      11: text('externalTrafficPolicy'),
      12: integer('healthCheckNodePort'),
      13: flag('publishNotReadyAddresses'),
      14: message(
        'sessionAffinityConfig',
        shape({ 1: message('clientIP', shape({ 1: pointer(integer('timeoutSeconds')) })) }),
      ),
      17: pointer(text('ipFamilyPolicy')),
      18: texts('clusterIPs'),
      19: texts('ipFamilies'),
      20: pointer(flag('allocateLoadBalancerNodePorts')),
      21: pointer(text('loadBalancerClass')),
      22: pointer(text('internalTrafficPolicy')),
      23: pointer(text('trafficDistribution')),
    }),
  ),
  3: message(
    'status',
    shape({
      1: message(
        'loadBalancer',
        shape({
          1: messages(
            'ingress',
            shape({
              1: text('ip'),
              2: text('hostname'),
              3: pointer(text('ipMode')),
              4: messages(
                'ports',
                shape({ 1: integer('port'), 2: text('protocol'), 3: pointer(text('error')) }),
              ),
            }),
          ),
        }),
      ),
      2: messages('conditions', condition),
    }),
  ),
});

export const nodeShape = shape({
  1: message('metadata', shape(meta)),
  2: message(
    'spec',
    shape({
      1: text('podCIDR'),
      3: text('providerID'),
      4: flag('unschedulable'),
      5: messages('taints', shape({ 1: text('key'), 2: text('value'), 3: text('effect') })),
      7: texts('podCIDRs'),
    }),
  ),
  3: message(
    'status',
    shape({
      4: messages('conditions', shape({ 1: text('type'), 2: text('status') })),
      5: messages('addresses', shape({ 1: text('type'), 2: text('address') })),
    }),
  ),
});

const named = shape({ 1: text('name') });

export const sliceShape = shape({
  1: message('metadata', shape(meta)),
  2: messages(
    'endpoints',
    shape({
      1: texts('addresses'),
      2: message(
        'conditions',
        shape({ 1: pointer(flag('ready')), 2: pointer(flag('serving')), 3: pointer(flag('terminating')) }),
      ),
      6: pointer(text('nodeName')),
      7: pointer(text('zone')),
      8: message('hints', shape({ 1: messages('forZones', named), 2: messages('forNodes', named) })),
    }),
  ),
  3: messages(
    'ports',
    shape({
      1: pointer(text('name')),
      2: pointer(text('protocol')),
      3: pointer(integer('port')),
      4: pointer(text('appProtocol')),
    }),
  ),
  4: text('addressType'),
});

/** `meta/v1 Status`: what an API server says instead of an object. */
export const statusShape = shape({
  2: text('status'),
  3: text('message'),
  4: text('reason'),
  5: message(
    'details',
    shape({
      1: text('name'),
      3: text('kind'),
      4: messages('causes', shape({ 1: text('reason'), 2: text('message'), 3: text('field') })),
      5: integer('retryAfterSeconds'),
    }),
  ),
  6: integer('code'),
});
