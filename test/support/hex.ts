/** Bytes as tests write them: digits in groups that a reader can follow, without the blanks. */
export function hex(text: string): string {
  return text.replaceAll(/\s/gu, '');
}
