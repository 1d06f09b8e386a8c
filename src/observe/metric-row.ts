/** What is said of each metric in the tables. */

export interface MetricRow {
  /** The process that exports it. Default: the controller. */
  readonly of?: 'controller' | 'agent' | 'both';
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, in seconds. */
  readonly buckets?: readonly number[];
}
