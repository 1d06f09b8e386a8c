/**
 * Bytes to JSON values, one a line, as they arrive.
 *
 * A whole list is never held or parsed at once: the longest pause of the event loop is one chunk. An
 * object that spans chunks is put together once, when its end arrives.
 */
import { SluiceError } from '../core/errors.ts';
import type { ListPart } from './protobuf/list.ts';

const newline = 0x0a;

/** A line longer than this is not an object of Kubernetes (etcd stores 1.5 MiB) but a broken peer. */
const longestLine = 64 * 1024 * 1024;

/**
 * The lines of each chunk at once. `trim` sees each before it is parsed. Errors: `transient`, code `UnparsableLine`;
 * what came before the bad line in its chunk is lost with it, as what comes after it is.
 */
export async function* jsonLines(
  chunks: AsyncIterable<Uint8Array>,
  trim: (text: string) => string = asItIs,
): AsyncGenerator<readonly unknown[], void> {
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  for await (const chunk of chunks) {
    const bytes = asBuffer(chunk);
    const values: unknown[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      const text =
        kept.length === 0 ? bytes.toString('utf8', start, end) : joined(kept, bytes.subarray(0, end));
      kept = [];
      keptBytes = 0;
      start = end + 1;
      if (text.length > 0 && text !== '\r') values.push(parse(trim(text)));
    }
    if (values.length > 0) yield values;
    if (start < bytes.length) {
      kept.push(start === 0 ? bytes : bytes.subarray(start));
      keptBytes += bytes.length - start;
      if (keptBytes > longestLine) throw unparsable('a line without an end', undefined);
    }
  }
  if (keptBytes > 0) {
    // The last line of an answer that is a single object may come without a line end.
    const text = joined(kept, new Uint8Array(0)).trim();
    if (text.length > 0) yield [parse(trim(text))];
  }
}

/** A list that comes as one JSON object. Errors: `transient`, code `UnparsableLine` or `NotAList`. */
export async function* jsonList(
  chunks: AsyncIterable<Uint8Array>,
  trim: (text: string) => string = asItIs,
): AsyncGenerator<ListPart, void> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const list = parse(trim(joined(parts, new Uint8Array(0)))) as {
    readonly metadata?: { readonly resourceVersion?: string };
    readonly items?: readonly unknown[] | null;
  } | null;
  const version = list?.metadata?.resourceVersion;
  if (version === undefined || list?.items === undefined) throw notAList();
  yield { items: list.items ?? [], version };
}

/** An answer with success that is something else than a list. */
export function notAList(): SluiceError {
  return new SluiceError('transient', "the API server's answer is not a list", { code: 'NotAList' });
}

function asItIs(text: string): string {
  return text;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function joined(parts: readonly Uint8Array[], last: Uint8Array): string {
  return Buffer.concat([...parts, last]).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unparsable(`${text.length} characters that are not JSON`, cause);
  }
}

// The text itself stays out of the message: it may hold anything, secrets included.
function unparsable(what: string, cause: unknown): SluiceError {
  return new SluiceError('transient', `the API server's stream held ${what}`, {
    code: 'UnparsableLine',
    cause,
  });
}
