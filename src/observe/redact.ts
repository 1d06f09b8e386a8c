/**
 * Keeps secrets out of everything that is logged or shown.
 *
 * Two nets: fields whose name says that they are secret, and text that looks like a credential wherever it
 * stands. It errs on the side of hiding.
 */

const secretName =
  /secret|token|passw|authoriz|credential|private.?key|access.?key|signature|cookie|bearer/iu;
const secretText: readonly (readonly [RegExp, string])[] = [
  // AWS access key ids, temporary ones included; Alibaba's.
  [/\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b/gu, '[key id]'],
  [/\b(?:LTAI|STS\.)[A-Za-z0-9]{12,}\b/gu, '[key id]'],
  // JSON web tokens: the form of service-account tokens.
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/gu, '[token]'],
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/giu, '$1 [hidden]'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gu, '[private key]'],
  [
    /([?&](?:X-Amz-(?:Signature|Security-Token|Credential)|Signature|SecurityToken|AccessKeyId)=)[^&\s"]+/giu,
    '$1[hidden]',
  ],
];

/** Something that every one of them has: most text has none, and is looked through once instead of six times. */
const maybeSecret = /AKIA|ASIA|LTAI|STS\.|eyJ|bearer|basic|-----BEGIN|[?&]/iu;

export function redactText(text: string): string {
  if (!maybeSecret.test(text)) return text;
  return secretText.reduce((result, [pattern, replacement]) => result.replaceAll(pattern, replacement), text);
}

/** A copy of plain data without secrets. Deeper than eight levels and longer than a hundred items is cut off. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= 8) return '[deep]';
  if (Array.isArray(value)) {
    const items = value.slice(0, 100).map((item: unknown) => redact(item, depth + 1));
    return value.length > 100 ? [...items, `[${value.length - 100} more]`] : items;
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      secretName.test(key) && (typeof part === 'string' || typeof part === 'object') && part !== null
        ? '[hidden]'
        : redact(part, depth + 1),
    ]),
  );
}
