/** What the calls of all parts of SLB share. Only types. */

export type Switch = 'on' | 'off';

/** As tags are sent: flattened to `Tag.1.Key`, `Tag.1.Value`. */
export interface Tag {
  readonly Key: string;
  readonly Value?: string | undefined;
}

/** As tags come back, and as the old filter takes them. */
export interface FoundTag {
  readonly TagKey: string;
  readonly TagValue?: string | undefined;
}

/** What every answer carries. */
export interface Answered {
  readonly RequestId?: string | undefined;
}
