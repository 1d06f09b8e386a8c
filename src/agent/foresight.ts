/**
 * Works ahead while the first lists are still on their way: what has come is decided, and the writers are told what is
 * likely, so that little is left to do when the lists are whole.
 *
 * Nothing is given for good here. `end` takes back what did not last; what was told to a writer is its to correct.
 */
import type { EndpointSliceObject, ObjectKey, ServiceObject } from '../core/objects.ts';
import type { DecisionTracker } from './decide/tracker.ts';
import type { Decision, NodeDecision } from './decision.ts';
import type { AgentView, Foreteller } from './door.ts';

/** What so many cost is a few milliseconds. */
const usuallyInOneGo = 512;

export interface ForesightOptions {
  readonly view: AgentView;
  readonly tracker: DecisionTracker;
  /** Addresses of the node's interfaces, as of now; none while they are not known. */
  readonly addresses: () => ReadonlySet<string>;
  readonly tell: (node: NodeDecision, decisions: readonly Decision[]) => void;
  /** Objects that are decided in one go. */
  readonly inOneGo?: number;
}

export class Foresight implements Foreteller {
  readonly #options: ForesightOptions;
  readonly #services = new Map<ObjectKey, ServiceObject>();
  readonly #slices = new Map<ObjectKey, EndpointSliceObject>();
  #count = 0;
  #ended = false;
  #nodeKnown = false;

  constructor(options: ForesightOptions) {
    this.#options = options;
  }

  service(service: ServiceObject): void {
    if (this.#ended) return;
    this.#services.set(service.key, service);
    this.#options.tracker.setService(service);
    this.#more();
  }

  slice(slice: EndpointSliceObject): void {
    if (this.#ended) return;
    this.#slices.set(slice.key, slice);
    this.#options.tracker.setSlice(slice);
    this.#more();
  }

  /** The lists are whole: takes back from the tracker what is not in them. */
  end(): void {
    const { tracker, view } = this.#options;
    this.#ended = true;
    for (const slice of view.allSlices()) this.#slices.delete(slice.key);
    for (const key of this.#services.keys()) if (view.service(key) === undefined) tracker.deleteService(key);
    for (const key of this.#slices.keys()) tracker.deleteSlice(key);
    this.#services.clear();
    this.#slices.clear();
  }

  #more(): void {
    this.#count += 1;
    const { tracker, view, addresses, tell, inOneGo = usuallyInOneGo } = this.#options;
    if (this.#count < inOneGo) return;
    if (!this.#nodeKnown) {
      const node = view.node();
      const known = addresses();
      // Every node has an address: as long as there is none, they have not been read.
      if (node === undefined || known.size === 0) return;
      this.#nodeKnown = true;
      tracker.setAddresses(known);
      tracker.setNode(node);
    }
    this.#count = 0;
    const likely = tracker.foretold();
    for (const node of tracker.node) {
      tell(
        node,
        likely.filter(({ family }) => family === node.family),
      );
    }
  }
}
