/** `providers.local` of the settings file: every field with its default and what it means. */
import { duration, field, flag, section } from '../../src/core/schema.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

export const configTable = section({
  probe: field(
    flag(true),
    'Have an agent ask the link whether anybody has an address before it is first given out. Without, and where no ' +
      'agent runs, addresses are given out unasked: for links that are announced by other means.',
  ),
  noAgentAfter: field(
    duration({ minMs: 1_000, maxMs: 60 * minute, standardMs: 10_000 }),
    'How long a probe may be unanswered before a condition says that no agent answers. The address is not given out ' +
      'until one does.',
  ),
  rest: field(
    duration({ minMs: minute, maxMs: 7 * day, standardMs: 10 * minute }),
    'How long an address that something else on the link has is left alone before it is asked about again.',
  ),
  remember: field(
    duration({ minMs: minute, maxMs: 365 * day, standardMs: 7 * day, off: true }),
    'How long the addresses of a Service that has gone are kept for one made anew under its name. A pool that runs ' +
      'out gives them to others earlier. 0 keeps nothing.',
  ),
});
