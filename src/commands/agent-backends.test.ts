/** What a node without the tools, or with tools that cannot do what is needed, is told. */
import { spawn } from 'node:child_process';
import { expect, test, vi } from 'vitest';
import type { Spawn } from '../agent/tool.ts';
import { chooseBackends } from './agent-backends.ts';

const families = ['IPv4'] as const;

/** No program is installed. */
const bare: Spawn = (program, args) => spawn(`/nowhere/${program}`, args);

/** An nft that does not know one word, and nothing else. */
const oldNft: Spawn = (program, args) =>
  program === 'nft'
    ? spawn('sh', [
        '-c',
        'case "$(cat)" in *numgen*) echo "Error: syntax error, unexpected string" >&2; exit 1;; esac',
      ])
    : bare(program, args);

test('without any tool both backends are named, with what each lacks', async () => {
  await expect(chooseBackends({ backend: 'auto', variant: 'auto' }, families, bare)).rejects.toMatchObject({
    kind: 'invalid',
    code: 'NoBackend',
    message: expect.stringMatching(/nftables: there is no program nft.*iptables: .*install iptables/u),
  });
});

test('who asks for iptables where it is not installed is told so, and of the other backend', async () => {
  await expect(
    chooseBackends({ backend: 'iptables', variant: 'auto' }, families, bare),
  ).rejects.toMatchObject({
    kind: 'invalid',
    code: 'ToolMissing',
    message: expect.stringMatching(/install iptables, or use the nftables backend/u),
  });
});

test('a piece that nft or the kernel lacks is named, with who has it', async () => {
  await expect(chooseBackends({ backend: 'auto', variant: 'auto' }, families, oldNft)).rejects.toMatchObject({
    code: 'NoBackend',
    message: expect.stringMatching(/lacks numbers drawn at random for IPv4 \(needs nft_numgen\)/u),
  });
});

test('without perl nftables is used all the same, with a word about what that costs', async () => {
  const choice = { backend: 'nftables', variant: 'auto' } as const;
  vi.stubEnv('PATH', '/nowhere');
  expect((await chooseBackends(choice, families, bare)).notes).toEqual([
    expect.stringMatching(/no program perl.*nft writes every element.*install perl-base/u),
  ]);
  vi.unstubAllEnvs();
});
