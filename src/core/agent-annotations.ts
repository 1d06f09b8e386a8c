/**
 * The annotations on a Service that the node agent reads: names, values and meaning.
 *
 * They stand in the core because the controller must know them too: what begins with our prefix and is not known gets
 * a warning.
 */
import type { AnnotationDoc } from './provider.ts';

export const agentAnnotation = {
  balancing: doc(
    'balancing',
    'random, hash',
    'random',
    "How the node picks an endpoint: at random, or by a stable hash of the client's address and port.",
  ),
  weights: doc(
    'weights',
    'zone:NAME=N, node:NAME=N, ADDRESS=N, RANGE=N, default=N',
    '',
    'Share of new connections of the endpoints in a zone, on a node or in an address range, 1 to 64; the narrowest range counts before a node, a node before a zone.',
  ),
  drain: doc(
    'drain',
    'ADDRESS, RANGE, node:NAME',
    '',
    'Endpoints that get no new connections as long as there are others, as if they were terminating; what is open stays. Written by `sluice drain`.',
  ),
  guardEverything: doc(
    'guard-everything',
    'true, false',
    '',
    'The source ranges guard the external IPs and the node port as well, not only the balancer IPs.',
  ),
} as const satisfies Readonly<Record<string, AnnotationDoc>>;

export const agentAnnotationDocs: readonly AnnotationDoc[] = Object.values(agentAnnotation);

function doc(word: string, values: string, fallback: string, means: string): AnnotationDoc {
  return {
    key: `sluice.dev/${word}`,
    values,
    fallback,
    means,
    status: 'served',
    note: 'Read by the node agent.',
  };
}
