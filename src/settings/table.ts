/**
 * Every setting of the one settings file, with its default: nothing has a default anywhere else.
 *
 * What stands under `providers.<name>` belongs to the provider, which validates it itself (read.ts).
 */
import { guardRules } from '../core/guard.ts';
import { choice, duration, field, flag, integer, list, section, text } from '../core/schema.ts';
import type { Schema } from '../core/schema.ts';

export const apiVersion = 'sluice.dev/v1alpha1';
export const kind = 'Config';
export const providerNames = ['aws', 'alibaba', 'local'] as const;

/** RFC 1123 label, the form of namespaces. */
const dnsLabel = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/u;
/** RFC 1123 subdomain, the form of most names. */
const dnsName = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/u;
/** Label-style identifier, as the API server wants for `spec.loadBalancerClass`. */
const className =
  /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/u;
const uid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/u;
const clusterName = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,98}[A-Za-z0-9])?$/u;
const listenAddress = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]|localhost)?:\d{1,5}$/u;

const minute = 60_000;
const hour = 60 * minute;

const loadBalancerClass = text({
  type: 'the name of a load-balancer class',
  pattern: className,
  cure: 'Write it as spec.loadBalancerClass has it, such as example.com/nlb',
  standard: '',
});
const classList: Schema<readonly string[]> = list(loadBalancerClass);

const cluster = section({
  name: field(
    text({
      type: 'a cluster name',
      pattern: clusterName,
      cure: 'Use up to 100 letters, digits, dots, dashes and underscores',
      standard: undefined,
    }),
    'Name of the cluster, for people: it is written on everything that is made in a cloud.',
  ),
  id: field(
    text({
      type: 'a UID',
      pattern: uid,
      cure: 'Take what `kubectl get namespace kube-system -o jsonpath={.metadata.uid}` prints',
      standard: undefined,
    }),
    'UID of the namespace kube-system: what ownership is decided by. Read from the cluster where there is one; ' +
      'needed here only for `plan -f` without a cluster.',
  ),
});

const controller = section({
  defaultProvider: field(
    choice(providerNames, undefined),
    'Provider of Services that have no class. Not needed when only one provider is configured.',
  ),
  claimClassless: field(
    flag(true),
    'Serve Services of type LoadBalancer without `spec.loadBalancerClass`. A Service that shows signs of ' +
      'another controller is left alone in any case; local mode leaves them all alone while another controller shows ' +
      'anywhere in the cluster.',
  ),
  classes: field(
    section({
      aws: field(classList, 'More classes that the provider aws serves, beside `sluice.dev/aws`.'),
      alibaba: field(
        classList,
        'More classes that the provider alibaba serves, beside `sluice.dev/alibaba`.',
      ),
      local: field(classList, 'More classes that the provider local serves, beside `sluice.dev/local`.'),
    }),
    'More values of `spec.loadBalancerClass`, by provider.',
  ),
  workers: field(integer({ min: 1, max: 256, standard: 64 }), 'Services worked on at once.'),
  publish: field(
    choice(['active', 'early'], 'active'),
    'When the address appears on the Service: once the balancer is active, or as soon as the cloud has named it.',
  ),
  drift: field(
    section({
      policy: field(
        choice(['correct', 'report'], 'correct'),
        'Put right what was changed behind our back, or only report it. A Service may say otherwise by annotation.',
      ),
      surveyEvery: field(
        duration({ minMs: 10_000, maxMs: 24 * hour, standardMs: 3 * minute, off: true }),
        'How often the presence of every balancer is checked, by batched reads.',
      ),
      fullEvery: field(
        duration({ minMs: minute, maxMs: 7 * 24 * hour, standardMs: hour, off: true }),
        'How often one Service is compared in full, targets included; jittered.',
      ),
    }),
    'What is done about changes that somebody else made.',
  ),
  guard: field(
    section({
      sharePercent: field(
        integer({ min: 1, max: 100, standard: guardRules.share * 100 }),
        'Share of the healthy targets of a group that may go at once or within the window. 100 switches the guard off.',
      ),
      least: field(
        integer({ min: 1, max: 1000, standard: guardRules.least }),
        'A removal of fewer healthy targets than this is never held back, what went within the window included.',
      ),
      window: field(
        duration({ minMs: minute, maxMs: 24 * hour, standardMs: guardRules.windowMs, off: true }),
        'How long a removal counts together with later ones, so that many small ones are held back like a large one.',
      ),
      checks: field(
        integer({ min: 1, max: 100, standard: guardRules.checks }),
        'How often a larger removal must have been seen before it is believed.',
      ),
      span: field(
        duration({ minMs: 1000, maxMs: hour, standardMs: guardRules.spanMs }),
        'Least time between the first and the last of these.',
      ),
    }),
    'Holds back a plan that would take away too many healthy targets, at once or bit by bit.',
  ),
  strays: field(
    choice(['remove', 'report'], 'remove'),
    'What is done with resources that carry our mark and whose Service is gone.',
  ),
  lease: field(
    section({
      namespace: field(
        text({
          type: 'a namespace',
          pattern: dnsLabel,
          cure: 'Use up to 63 lower-case letters, digits and dashes',
          standard: 'sluice-system',
        }),
        'Namespace of the Lease.',
      ),
      name: field(
        text({
          type: 'an object name',
          pattern: dnsName,
          cure: 'Use lower-case letters, digits, dashes and dots',
          standard: 'sluice-controller',
        }),
        'Name of the Lease.',
      ),
    }),
    'The Lease by which one of several replicas is chosen.',
  ),
  listen: field(
    text({
      type: 'an address to listen on',
      pattern: listenAddress,
      cure: 'Write ADDRESS:PORT or :PORT, such as 127.0.0.1:8080',
      standard: ':8080',
    }),
    'Where `/healthz`, `/readyz`, `/metrics` and `/debug` are served.',
  ),
});

/** Everything beside `apiVersion`, `kind` and `providers`. */
export const sections = { cluster, controller };
