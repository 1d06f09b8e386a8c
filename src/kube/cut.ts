/** Texts cut to the API's limits, which count bytes of UTF-8, never in the middle of a character. */
export function cutToBytes(text: string, bytes: number): string {
  const encoded = Buffer.from(text, 'utf8');
  if (encoded.length <= bytes) return text;
  const mark = '…';
  let end = bytes - Buffer.byteLength(mark);
  // 10xxxxxx continues a character.
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return encoded.toString('utf8', 0, end) + mark;
}
