/**
 * One copy of each string that many objects repeat: node names, zones, namespaces.
 *
 * Bounded: when names keep changing it starts over, which costs some doubled strings and nothing else.
 */
export type Intern = (text: string) => string;

export function makeIntern(limit = 65_536): Intern {
  const known = new Map<string, string>();
  return (text) => {
    const held = known.get(text);
    if (held !== undefined) return held;
    if (known.size >= limit) known.clear();
    known.set(text, text);
    return text;
  };
}
