/**
 * From MetalLB's IPAddressPools and L2Advertisements to AddressPools: what carries over, and what does not, in words.
 * Pure. Both field names and meanings are MetalLB's API `metallb.io/v1beta1`.
 */
export interface MetallbObject {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly addresses?: readonly string[];
    readonly autoAssign?: boolean;
    readonly avoidBuggyIPs?: boolean;
    readonly serviceAllocation?: {
      readonly priority?: number;
      readonly namespaces?: readonly string[];
      readonly namespaceSelectors?: readonly object[];
      readonly serviceSelectors?: readonly object[];
    };
    readonly ipAddressPools?: readonly string[];
    readonly ipAddressPoolSelectors?: readonly Selector[];
    readonly nodeSelectors?: readonly object[];
    readonly interfaces?: readonly string[];
    readonly serviceSelectors?: readonly object[];
  };
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly object[];
}

export interface ConvertedPool {
  readonly apiVersion: 'sluice.dev/v1alpha1';
  readonly kind: 'AddressPool';
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface Conversion {
  readonly pools: readonly ConvertedPool[];
  /** What a person has to look at, one sentence each. */
  readonly notes: readonly string[];
}

/** Objects of other kinds are named in a note where they belong to MetalLB, and passed over otherwise. */
export function convertMetallb(objects: readonly MetallbObject[]): Conversion {
  const notes: string[] = [];
  const advertisements = objects.filter(({ kind }) => kind === 'L2Advertisement');
  const pools = objects
    .filter(({ kind }) => kind === 'IPAddressPool')
    .map((pool) => convertPool(pool, advertisements, notes));
  for (const { kind, metadata } of objects) {
    if (kind === 'BGPAdvertisement' || kind === 'BGPPeer')
      notes.push(
        `${kind} ${metadata?.name ?? ''} has no counterpart: addresses are announced on the link only`,
      );
  }
  return { pools, notes };
}

function convertPool(
  { metadata = {}, spec = {} }: MetallbObject,
  advertisements: readonly MetallbObject[],
  notes: string[],
): ConvertedPool {
  const name = metadata.name ?? '';
  const mine = advertisements.filter((one) => chooses(one, name, metadata.labels ?? {}, notes));
  if (mine.length === 0)
    notes.push(
      `pool ${name} has no L2Advertisement, so MetalLB did not announce it on the link; its AddressPool is announced`,
    );
  for (const { metadata: of, spec: said } of mine) {
    if ((said?.serviceSelectors ?? []).length > 0)
      notes.push(
        `L2Advertisement ${of?.name ?? ''} selects Services; that is left out: one node holds an address for all its Services`,
      );
  }
  const { serviceAllocation: allocation = {} } = spec;
  return {
    apiVersion: 'sluice.dev/v1alpha1',
    kind: 'AddressPool',
    metadata: { name },
    spec: filled({
      addresses: spec.addresses ?? [],
      autoAssign: spec.autoAssign === false ? false : undefined,
      avoidBuggyIPs: spec.avoidBuggyIPs === true ? true : undefined,
      priority: allocation.priority === 0 ? undefined : allocation.priority,
      namespaces: allocation.namespaces,
      namespaceSelectors: allocation.namespaceSelectors,
      serviceSelectors: allocation.serviceSelectors,
      nodeSelectors: union(mine.map((one) => one.spec?.nodeSelectors ?? [])),
      interfaces: union(mine.map((one) => one.spec?.interfaces ?? [])),
    }),
  };
}

/** An advertisement without any choice is for every pool. */
function chooses(
  { metadata, spec = {} }: MetallbObject,
  name: string,
  labels: Readonly<Record<string, string>>,
  notes: string[],
): boolean {
  const { ipAddressPools: names = [], ipAddressPoolSelectors: selectors = [] } = spec;
  if (names.length === 0 && selectors.length === 0) return true;
  if (names.includes(name)) return true;
  return selectors.some(({ matchLabels = {}, matchExpressions = [] }) => {
    if (matchExpressions.length > 0) {
      notes.push(
        `L2Advertisement ${metadata?.name ?? ''} chooses pools by expressions; check what was made of pool ${name}`,
      );
      return false;
    }
    return Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  });
}

/** All of them; where one is without restriction there is none. */
function union<Item>(lists: readonly (readonly Item[])[]): readonly Item[] {
  if (lists.some((list) => list.length === 0)) return [];
  return [...new Map(lists.flat().map((item) => [JSON.stringify(item), item])).values()];
}

function filled(spec: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(spec).filter(
      ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
    ),
  );
}
