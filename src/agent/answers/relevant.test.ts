/** Of all rules of a Service port, those that one packet meets: the backends' own texts, cut to one way. */
import { describe, expect, test } from 'vitest';
import { aDecision, aNodeDecision } from '../../../test/packets/iptables-bench.ts';
import { Recorder, standIn } from '../../commands/stand-in.ts';
import type { AgentSettings } from '../decide/settings.ts';
import { render } from '../iptables/render.ts';
import { ask, testAround, testPicture, testSettings } from './fixtures.ts';
import { answerPacket } from './packet-answer.ts';
import type { Question } from './resolve.ts';
import { generalRules, relevantRules } from './relevant.ts';
import { resolve } from './resolve.ts';

const service = {
  externalTrafficPolicy: 'Local',
  externalIPs: ['192.0.2.80'],
  ingress: [{ ip: '203.0.113.1' }],
  sourceRanges: ['192.0.2.0/24'],
} as const;

async function rules(backend: AgentSettings['backend'], question: Question): Promise<readonly string[]> {
  const picture = testPicture(service);
  const settings = { ...testSettings, backend, serviceRanges: ['10.96.0.0/16'] };
  const resolved = resolve(question, picture, testAround({ settings }));
  const { answer, nodeDecision, hit, decisions, evaluation } = answerPacket(resolved, picture, settings);
  const recorder = new Recorder();
  const stand = await standIn(backend, 'nft', 'IPv4', recorder.spawn);
  await stand.replace(nodeDecision, decisions);
  const { packet } = resolved;
  const { branch } = evaluation;
  return hit === undefined
    ? generalRules(backend, recorder.text(), { packet, branch })
    : relevantRules(backend, stand.describe(hit.key), {
        packet,
        branch,
        byNodePort: answer.hit?.kind === 'node-port',
      });
}

const stranger = ask('198.51.100.7', '10.0.0.1:30080');
const pod = ask('pod/web-1', '10.0.0.1:30080', { node: 'n1' });
const outside = ask('198.51.100.7', '203.0.113.1:80', { node: 'n1' });
const undefinedPort = ask('pod/web-1', 'svc/web:81');
const nobody = ask('pod/web-1', '10.96.0.99:80');

describe('nftables', () => {
  test('a stranger under policy Local meets the local endpoints only', async () => {
    expect(await rules('nftables', stranger)).toMatchInlineSnapshot(`
      [
        "element ip sluice service-nodeports { 6 . 30080 : 4fd9:a865 }",
        "element ip sluice shapes { 4fd9:a865 : goto split-nodeport-to-cluster-2-or-nodeport-to-local-1 }",
        "element ip sluice nodeport-endpoints-local { 6 . 30080 . none : 10.244.1.2 . 8080 }",
        "rule ip sluice split-nodeport-to-cluster-2-or-nodeport-to-local-1 ip saddr @pods goto nodeport-to-cluster-2",
        "rule ip sluice split-nodeport-to-cluster-2-or-nodeport-to-local-1 fib saddr type local goto nodeport-to-cluster-2-masquerade",
        "rule ip sluice split-nodeport-to-cluster-2-or-nodeport-to-local-1 goto nodeport-to-local-1",
        "rule ip sluice nodeport-to-local-1 meta priority set numgen random mod 1 dnat ip to meta l4proto . th dport . meta priority map @nodeport-endpoints-local",
        "rule ip sluice nodeport-to-local-1 meta priority set none dnat ip to meta l4proto . th dport . meta priority map @nodeport-endpoints-local",
        "rule ip sluice nodeport-to-local-1 drop",
      ]
    `);
  });
  test('a pod goes the other way', async () => {
    const met = await rules('nftables', pod);
    expect(met.filter((line) => line.startsWith('element')).join('\n')).toMatchInlineSnapshot(`
      "element ip sluice service-nodeports { 6 . 30080 : 4fd9:a865 }
      element ip sluice shapes { 4fd9:a865 : goto split-nodeport-to-cluster-2-or-nodeport-to-local-1 }
      element ip sluice nodeport-endpoints-cluster { 6 . 30080 . none : 10.244.1.2 . 8080 }
      element ip sluice nodeport-endpoints-cluster { 6 . 30080 . 0:1 : 10.244.2.2 . 8080 }"
    `);
    expect(met.join('\n')).not.toContain('rule ip sluice nodeport-to-local');
  });
  test('who is outside the ranges ends there', async () => {
    expect(await rules('nftables', outside)).toMatchInlineSnapshot(`
      [
        "element ip sluice service-ips { 203.0.113.1 . 6 . 80 : 575f:1cfd }",
        "element ip sluice shapes { 575f:1cfd : goto guard-split-to-cluster-2-or-to-local-1 }",
        "element ip sluice source-ranges { 203.0.113.1 . 6 . 80 . 192.0.2.0/24 }",
        "rule ip sluice guard-split-to-cluster-2-or-to-local-1 ip daddr . meta l4proto . th dport . ip saddr != @source-ranges drop",
        "rule ip sluice guard-split-to-cluster-2-or-to-local-1 goto split-to-cluster-2-or-to-local-1",
      ]
    `);
  });
  test('an undefined port', async () => {
    expect(await rules('nftables', undefinedPort)).toMatchInlineSnapshot(`
      [
        "element ip sluice cluster-ips { 10.96.0.10 }",
        "rule ip sluice prerouting ip daddr @cluster-ips fib daddr type != local goto refuse",
      ]
    `);
  });
  test('an address that nobody has', async () => {
    expect(await rules('nftables', nobody)).toMatchInlineSnapshot(`
      [
        "element ip sluice service-ranges { 10.96.0.0/16 }",
        "rule ip sluice prerouting ip daddr @service-ranges fib daddr type != local drop",
      ]
    `);
  });
});

describe('iptables', () => {
  test('a stranger under policy Local meets the local endpoints only', async () => {
    expect(await rules('iptables', stranger)).toMatchInlineSnapshot(`
      [
        "add SLUICE-4-NP 0.0.0.0/1,tcp:30080",
        "add SLUICE-4-NP 128.0.0.0/1,tcp:30080",
        "-A SLUICE-NP-tcp-30080 -p tcp -m tcp --dport 30080 -m comment --comment "default/web:http" -g SLUICE-EXT-CDGGSHYLG3RE2FKL",
        "-A SLUICE-EXT-CDGGSHYLG3RE2FKL -s 10.244.0.0/16 -g SLUICE-SVC-CDGGSHYLG3RE2FKL",
        "-A SLUICE-EXT-CDGGSHYLG3RE2FKL -m addrtype --src-type LOCAL -j MARK --or-mark 0x2000",
        "-A SLUICE-EXT-CDGGSHYLG3RE2FKL -m addrtype --src-type LOCAL -g SLUICE-SVC-CDGGSHYLG3RE2FKL",
        "-A SLUICE-EXT-CDGGSHYLG3RE2FKL -g SLUICE-SVL-CDGGSHYLG3RE2FKL",
        "-A SLUICE-SVL-CDGGSHYLG3RE2FKL -p tcp -j DNAT --to-destination 10.244.1.2:8080",
      ]
    `);
  });
  test('who is outside the ranges ends there', async () => {
    expect(await rules('iptables', outside)).toMatchInlineSnapshot(`
      [
        "add SLUICE-4-DRP 203.0.113.1,tcp:80",
        "add SLUICE-4-DST 203.0.113.1,tcp:80",
        "-A SLUICE-DST-01 -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -m comment --comment "default/web:http loadbalancer IP" -g SLUICE-FW-CDGGSHYLG3RE2FKL",
        "-A SLUICE-FW-CDGGSHYLG3RE2FKL -s 192.0.2.0/24 -g SLUICE-EXT-CDGGSHYLG3RE2FKL",
      ]
    `);
  });
  test('an undefined port', async () => {
    expect(await rules('iptables', undefinedPort)).toMatchInlineSnapshot(`
      [
        "add SLUICE-4-CIP 10.96.0.10",
        "-A SLUICE-UNKNOWN -m set --match-set SLUICE-4-CIP dst -j REJECT --reject-with icmp-port-unreachable",
      ]
    `);
  });
  test('an address that nobody has', async () => {
    expect(await rules('iptables', nobody)).toMatchInlineSnapshot(`
      [
        "-A SLUICE-FORWARD -d 10.96.0.0/16 -m set ! --match-set SLUICE-4-OUR dst -m conntrack ! --ctstate INVALID,RELATED,ESTABLISHED,UNTRACKED,DNAT -j DROP",
      ]
    `);
  });
  test.each([
    ['from outside', { kind: 'interface', name: 'eth0' } as const, '10.96.0.99', 'FORWARD'],
    ['from a process', { kind: 'process' } as const, '10.96.0.99', 'OUTPUT'],
    ['where another port of it is somebody’s', { kind: 'process' } as const, '10.96.0.7', 'UNKNOWN'],
  ])('an address in a service range, %s, is dropped in one chain', (_, from, destination, chain) => {
    const decision = aDecision(1, { endpoints: 1, some: { externalIPs: ['10.96.0.7'] } });
    const { sets, rules: written } = render(aNodeDecision(), [decision]);
    const packet = {
      family: 'IPv4',
      protocol: 'TCP',
      source: '192.0.2.9',
      destination,
      port: 81,
      from,
    } as const;
    const met = generalRules('iptables', sets + written, { packet, branch: 'unallocated' });
    expect(met.map((line) => line.split(' ')[1])).toEqual([`SLUICE-${chain}`]);
  });
});
