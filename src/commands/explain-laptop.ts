/**
 * What `explain` adds for Services that `sluice local` serves: whether their addresses answer on this machine, and what
 * to run where they do not. Pure.
 *
 * The conditions of such a Service are as good as the process that wrote them: one that was killed leaves them as they
 * were, and only a connection tells.
 */
import type { ServiceObject } from '../core/objects.ts';
import { pathText, type PathCheck } from './path-check.ts';

export interface LaptopStory {
  /** That serves it, by its own name. */
  readonly machine: string;
  readonly paths: readonly { readonly address: string; readonly said: string }[];
  readonly ok: boolean;
  readonly verdict: string;
  /** One command; empty where nothing is to be done. */
  readonly command: string;
}

export function laptopStory(input: {
  readonly service: Pick<ServiceObject, 'ingress'>;
  /** Of the mark on the Service. */
  readonly machine: string;
  /** What this machine calls itself; undefined where it never served anything. */
  readonly here: string | undefined;
  readonly paths: ReadonlyMap<string, PathCheck>;
}): LaptopStory {
  const { service, machine, here, paths } = input;
  const asked = service.ingress.flatMap(({ ip }) => {
    const path = ip === undefined ? undefined : paths.get(ip);
    return ip === undefined || path === undefined ? [] : [{ address: ip, path }];
  });
  const told = {
    machine,
    paths: asked.map(({ address, path }) => ({ address, said: pathText(path) })),
  };
  const closed = asked.find(({ path }) => path.kind === 'refused' || path.kind === 'silent');
  if (closed === undefined)
    return { ...told, ok: true, verdict: `\`sluice local\` on ${machine} serves it`, command: '' };
  const { address } = closed;
  return machine === here
    ? {
        ...told,
        ok: false,
        verdict: `nothing answers at ${address}: \`sluice local\` on this machine served it and runs no more`,
        command: 'npx sluice local',
      }
    : {
        ...told,
        ok: false,
        verdict: `nothing answers at ${address} on this machine: \`sluice local\` on ${machine} serves it, for itself only`,
        command: 'npx sluice local --take-over',
      };
}

/** As `explain` prints it, below the endpoints. */
export function laptopLines({ machine, paths, ok, verdict, command }: LaptopStory): readonly string[] {
  return [
    '',
    `Served on   ${machine}, by \`sluice local\``,
    ...paths.map(({ address, said }) => `  Path      ${address}: ${said}`),
    `  ${ok ? 'Fine' : 'Trouble'}: ${verdict}`,
    ...(command === '' ? [] : [`  Next      ${command}`]),
  ];
}
