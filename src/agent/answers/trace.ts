/** (draft) */
export interface TraceStep {
  readonly table: string;
  readonly chain: string;
  readonly text: string;
  readonly verdict: string;
}
export interface TraceReport {
  readonly confirmed: boolean;
  readonly summary: string;
  readonly steps: readonly TraceStep[];
}
