/**
 * Orders that count from the next day, as text in a tag of the balancer, so that the next process knows of them.
 *
 * `paybybandwidth 10 1763719920`: charge type, Mbit/s (0 where none was named), seconds since the epoch. The time
 * is added when the tag is written, as a plan knows no time of day.
 */
import type { ObservedBalancer } from './observed.ts';

export type Ordered = Partial<Pick<ObservedBalancer, 'internetChargeType' | 'bandwidth'>>;

/** From midnight on an order counts; an hour for the cloud to show it. Milliseconds. */
export const orderMs = 25 * 3_600_000;

/** Without its time. */
export function orderText(
  internetChargeType: ObservedBalancer['internetChargeType'],
  bandwidth: number | undefined,
): string {
  return `${internetChargeType} ${bandwidth ?? 0}`;
}

export function withTime(text: string, wall: number): string {
  return `${text} ${Math.floor(wall / 1000)}`;
}

/** What a tag says that was ordered and may not show yet. */
export function orderIn(text: string | undefined, wall: number): Ordered {
  const found = /^(paybytraffic|paybybandwidth) (\d{1,5}) (\d{1,12})$/u.exec(text ?? '');
  const age = wall - Number(found?.[3] ?? 0) * 1000;
  if (found === null || age >= orderMs || age < -orderMs) return {};
  const bandwidth = Number(found[2]);
  return {
    internetChargeType: found[1] as ObservedBalancer['internetChargeType'],
    ...(bandwidth > 0 ? { bandwidth } : {}),
  };
}
