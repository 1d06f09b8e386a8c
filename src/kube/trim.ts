/**
 * Cuts `managedFields` out of JSON text before it is parsed.
 *
 * They are a quarter to a half of what the API server sends, the costliest part to parse, and nearly never
 * of use. The search needs no parser: inside a JSON string every quote is escaped, so the key with its plain
 * quotes can only be a key. Where the text is not what it should be, it is left as it is.
 */

const key = '"managedFields":[';
const quote = 0x22;
const backslash = 0x5c;
const open = 0x5b;
const close = 0x5d;

/** Empties each `managedFields` list, save those that contain `unless`. */
export function withoutManagedFields(text: string, unless?: string): string {
  let from = text.indexOf(key);
  if (from === -1) return text;
  let kept = '';
  let copied = 0;
  while (from !== -1) {
    const start = from + key.length;
    const end = endOfList(text, start);
    if (end === -1) break;
    if (unless === undefined || !text.slice(start, end).includes(unless)) {
      kept += text.slice(copied, start);
      copied = end;
    }
    from = text.indexOf(key, end);
  }
  return copied === 0 ? text : kept + text.slice(copied);
}

/** Where the list that was opened before `start` is closed; -1 when it is not. */
function endOfList(text: string, start: number): number {
  let depth = 1;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at + 1);
      if (at === -1) return -1;
    } else if (code === open) {
      depth += 1;
    } else if (code === close) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

function endOfString(text: string, start: number): number {
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === backslash) at += 1;
    else if (code === quote) return at;
  }
  return -1;
}
