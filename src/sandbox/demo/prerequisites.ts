/** What the story with nodes and packets needs of a machine, and the cure where it is missing. Pure. */

export interface Machine {
  /** As Node names it. */
  readonly platform: string;
  /** Of the user; undefined where the platform has none. */
  readonly uid: number | undefined;
  readonly has: (program: string) => boolean;
}

export interface Lack {
  readonly what: string;
  readonly cure: string;
}

/** Debian's package of each program. */
const packages = [
  ['ip', 'iproute2'],
  ['bridge', 'iproute2'],
  ['nft', 'nftables'],
  ['perl', 'perl-base'],
] as const;

/** Everything that is missing, each with its cure. */
export function lacksOf({ platform, uid, has }: Machine): readonly Lack[] {
  if (platform !== 'linux')
    return [
      { what: `Linux (this is ${platform})`, cure: 'run it on Linux, in a virtual machine for example' },
    ];
  const root: Lack[] = uid === 0 ? [] : [{ what: 'root, for network namespaces', cure: 'sudo npm run demo' }];
  const tools = packages
    .filter(([program]) => !has(program))
    .map(([program, debian]): Lack => ({ what: program, cure: `Debian: apt-get install ${debian}` }));
  return [...root, ...tools];
}
