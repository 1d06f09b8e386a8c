import { describe, expect, test } from 'vitest';
import { agentChoice, agentFlags, type AgentFlags, type ChoiceResult } from './agent-flags.ts';
import { parseFlags } from './flags.ts';

function choose(line: string, env: Readonly<Record<string, string>> = {}): ChoiceResult {
  const { values, mistakes } = parseFlags(agentFlags, line === '' ? [] : line.split(' '), env);
  expect(mistakes).toEqual([]);
  return agentChoice(values as AgentFlags, env);
}

describe('the flags of the agent', () => {
  test('without any: beside kube-proxy, primary addresses, its own mark bit and health port', () => {
    const { choice, mistakes } = choose('', { NODE_NAME: 'node-1' });
    expect(mistakes).toEqual([]);
    expect(choice).toMatchObject({
      backend: 'auto',
      variant: 'auto',
      families: 'auto',
      dropInvalid: 'auto',
      forget: 'udp',
      healthBind: ':10270',
      settings: {
        scope: 'labelled',
        nodeName: 'node-1',
        detectLocal: { kind: 'none' },
        nodePortAddresses: 'primary',
        markBit: 13,
      },
    });
  });

  test('instead of kube-proxy it takes the port of kube-proxy', () => {
    expect(choose('--scope all').choice.healthBind).toBe(':10256');
    expect(choose('--scope all --health-bind 127.0.0.1:1').choice.healthBind).toBe('127.0.0.1:1');
  });

  test.each([
    [
      '--cluster-cidr 10.244.0.0/16,fd00::/48',
      { kind: 'cluster-cidr', cidrs: ['10.244.0.0/16', 'fd00::/48'] },
    ],
    ['--detect-local node-cidr', { kind: 'node-cidr' }],
    ['--detect-local bridge --pod-interface cni0', { kind: 'bridge', name: 'cni0' }],
    ['--detect-local interface-prefix --pod-interface cali', { kind: 'interface-prefix', prefix: 'cali' }],
    ['--detect-local none', { kind: 'none' }],
  ])('%s', (line, detectLocal) => {
    const { choice, mistakes } = choose(line);
    expect(mistakes).toEqual([]);
    expect(choice.settings.detectLocal).toEqual(detectLocal);
  });

  test.each([
    ['--nodeport-addresses all', 'all'],
    ['--nodeport-addresses primary', 'primary'],
    ['--nodeport-addresses 10.1.2.3/8', ['10.0.0.0/8']],
  ])('%s', (line, addresses) => {
    expect(choose(line).choice.settings.nodePortAddresses).toEqual(addresses);
  });

  test.each([
    ['--cluster-cidr 10.244.0.0', /--cluster-cidr: "10.244.0.0" is not an address range.*10.244.0.0\/32/u],
    ['--cluster-cidr 010.0.0.0/8', /--cluster-cidr: "010.0.0.0\/8"/u],
    ['--nodeport-addresses all,10.0.0.0/8', /"all" stands alone/u],
    ['--detect-local bridge', /needs --pod-interface/u],
    ['--detect-local cluster-cidr', /needs --cluster-cidr/u],
    ['--pod-interface cni0', /works with --detect-local/u],
    ['--detect-local none --cluster-cidr 10.0.0.0/8', /--cluster-cidr works with/u],
    ['--localhost-nodeports --backend nftables', /needs the iptables backend/u],
    ['--iptables-variant legacy --backend nftables', /no effect/u],
    ['--service-cidr 10.96.0.0/12', /--scope all only/u],
    ['--mark-bit 14', /bit of kube-proxy/u],
    ['--health-bind :10256', /health port of kube-proxy/u],
    ['--api-server 10.0.0.1:6443', /must be an http or https URL/u],
    ['--health-bind 10256', /write ADDRESS:PORT/u],
    ['--listen :99999', /write ADDRESS:PORT/u],
    ['-f x.yaml', /--dry-run only/u],
    ['--cleanup --dry-run', /exclude each other/u],
  ])('%s is refused with a cure', (line, message) => {
    expect(choose(line).mistakes).toEqual([expect.stringMatching(message)]);
  });

  test('all mistakes are told at once', () => {
    const { mistakes } = choose('--mark-bit 14 --cluster-cidr x,y --detect-local bridge --health-bind z');
    expect(mistakes).toHaveLength(6);
  });

  describe('in a Pod', () => {
    const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1' };

    test('instead of kube-proxy it needs an address of the API server that is no cluster IP', () => {
      expect(choose('--scope all', env).mistakes).toEqual([expect.stringMatching(/needs --api-server URL/u)]);
    });

    test.each([
      '--scope all --api-server https://10.0.0.1:6443',
      '--scope all --kubeconfig x',
      '--scope labelled',
    ])('%s is enough', (line) => {
      expect(choose(line, env).mistakes).toEqual([]);
    });
  });
});
