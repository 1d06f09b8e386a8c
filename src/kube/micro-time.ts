/**
 * The API's MicroTime: RFC 3339 with exactly six fractional digits, which Leases and Events insist on.
 */
export function microTime(wallMs: number): string {
  const whole = Math.floor(wallMs);
  const micros = Math.floor((wallMs - whole) * 1000);
  return `${new Date(whole).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}
