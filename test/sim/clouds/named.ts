/** All clouds that are simulated, and one by its name. */
import type { Cloud } from '../cloud.ts';
import { alibaba } from './alibaba.ts';
import { aws } from './aws.ts';

export const clouds: readonly Cloud[] = [aws, alibaba];

/** Throws for a name that no cloud has. */
export function cloudNamed(name: string): Cloud {
  const found = clouds.find(({ provider }) => provider === name);
  if (found !== undefined) return found;
  throw new Error(
    `SLUICE_CLOUD: "${name}" is not simulated; there are ${clouds.map(({ provider }) => provider).join(', ')}`,
  );
}
