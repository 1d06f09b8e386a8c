/** Answers about packets as people read them: one example for each way that a packet can go. */
import { describe, expect, test } from 'vitest';
import { ask, testAround, testPicture, testSettings } from '../agent/answers/fixtures.ts';
import { answerPacket } from '../agent/answers/packet-answer.ts';
import { resolve, type Picture, type Question } from '../agent/answers/resolve.ts';
import type { AgentSettings } from '../agent/decide/settings.ts';
import { aPort, aService } from '../core/fixtures.ts';
import { packetText, type PacketDocument } from './packet-report.ts';

function answer(
  question: Question,
  picture: Picture = testPicture(),
  settings: AgentSettings = testSettings,
): PacketDocument {
  const resolved = resolve(question, picture, testAround({ settings }));
  return { ...answerPacket(resolved, picture, settings).answer, trace: null, sources: {} };
}

const text = (...args: Parameters<typeof answer>): string =>
  packetText(answer(...args), (_style, words) => words);

describe('as text', () => {
  test('an annotation of the Service that nobody knows is a note', () => {
    const misspelt = testPicture({ annotations: { 'sluice.dev/wieghts': 'default=2' } });
    expect(text(ask('pod/shop/cart', 'svc/web:80/tcp'), misspelt)).toContain(
      'note: metadata.annotations["sluice.dev/wieghts"]: this annotation is not known and has no effect; did you mean "sluice.dev/weights"?',
    );
  });

  test('a pod asks at a cluster IP', () => {
    expect(text(ask('pod/shop/cart', 'svc/web:80/tcp'))).toMatchInlineSnapshot(`
      "10.244.2.9 → 10.96.0.10:80/TCP on node n2 (comes in by an interface)

      delivered  Balanced: One of the endpoints gets the connection.
      Service   default/web port http, by its cluster IP
      branch    internal: the cluster IP, by internalTrafficPolicy Cluster
      choice    at random, by the shares below
      source    kept: endpoints see 10.244.2.9

      Candidates (2)
        10.244.1.2:8080  50 %, on n1
        10.244.2.2:8080  50 %, on n2

      Left out (1)
        10.244.2.3:8080  on n2  NotReady: It is not ready.
      "
    `);
  });

  test('a stranger asks at a node port under policy Local', () => {
    const picture = testPicture({ externalTrafficPolicy: 'Local', sessionAffinity: 'ClientIP' });
    expect(text(ask('198.51.100.7', '10.0.0.1:30080'), picture)).toMatchInlineSnapshot(`
      "198.51.100.7 → 10.0.0.1:30080/TCP on node n1 (comes in by an interface)

      delivered  Balanced: One of the endpoints gets the connection.
      Service   default/web port http, by its node port
      branch    local-other: an external destination under externalTrafficPolicy Local, asked from outside: endpoints of this node, source kept
      choice    a client keeps its endpoint until 10800 s without a new connection (sessionAffinity); else at random, by the shares below
      source    kept: endpoints see 198.51.100.7

      Candidates (1)
        10.244.1.2:8080  100 %, on n1

      Left out (2)
        10.244.2.2:8080  on n2  NotLocal: It is on another node, and the policy is Local.
        10.244.2.3:8080  on n2  NotReady: It is not ready.
      "
    `);
  });

  test('a node without an endpoint is silent under policy Local', () => {
    const picture = testPicture({ externalTrafficPolicy: 'Local' });
    expect(text(ask('198.51.100.7', '10.0.0.3:30080'), picture)).toMatchInlineSnapshot(`
      "198.51.100.7 → 10.0.0.3:30080/TCP on node n3 (comes in by an interface)

      dropped without a word  NoLocalEndpoints: Endpoints exist, but none on this node, and the policy is Local: silence, so that a balancer tries another node.
      Service   default/web port http, by its node port
      branch    local-other: an external destination under externalTrafficPolicy Local, asked from outside: endpoints of this node, source kept

      Left out (3)
        10.244.1.2:8080  on n1  NotLocal: It is on another node, and the policy is Local.
        10.244.2.2:8080  on n2  NotLocal: It is on another node, and the policy is Local.
        10.244.2.3:8080  on n2  NotReady: It is not ready.
      "
    `);
  });

  test('who is outside the source ranges', () => {
    const picture = testPicture({ ingress: [{ ip: '203.0.113.1' }], sourceRanges: ['192.0.2.0/24'] });
    expect(text(ask('198.51.100.7', '203.0.113.1:80', { node: 'n1' }), picture)).toMatchInlineSnapshot(`
      "198.51.100.7 → 203.0.113.1:80/TCP on node n1 (comes in by an interface)

      dropped without a word  OutsideSourceRanges: The source is outside loadBalancerSourceRanges: silence.
      Service   default/web port http, by its balancer IP
      branch    guard: the source ranges, which are asked before anything else
      ranges    192.0.2.0/24
      "
    `);
  });

  test('N7: at the node port the source ranges are not asked, and that is said; at the cluster IP they are no matter', () => {
    const picture = testPicture({ ingress: [{ ip: '203.0.113.1' }], sourceRanges: ['192.0.2.0/24'] });
    const open = text(ask('198.51.100.7', '10.0.0.1:30080'), picture);
    expect(open).toContain('delivered  Balanced');
    expect(open).not.toContain('ranges    ');
    expect(open).toContain(
      'note: loadBalancerSourceRanges guard the balancer IPs alone, not this destination; the annotation sluice.dev/guard-everything: "true" has them guard all',
    );
    const inside = text(ask('10.244.2.9', '10.96.0.10:80', { node: 'n1' }), picture);
    expect(inside).not.toMatch(/ranges {4}|note:/u);
    const guarded = text(ask('198.51.100.7', '10.0.0.1:30080'), picture, {
      ...testSettings,
      guardEverything: true,
    });
    expect(guarded).toMatch(/OutsideSourceRanges[^]*ranges {4}192\.0\.2\.0\/24\n$/u);
  });

  test('a Service of kube-proxy, which the agent leaves to it', () => {
    const settings = { ...testSettings, scope: 'labelled' } as const;
    expect(text(ask('pod/web-1', 'svc/web'), testPicture(), settings)).toMatchInlineSnapshot(`
      "10.244.1.2 → 10.96.0.10:80/TCP on node n1 (comes in by an interface)

      left alone  NotServedHere: A Service has this destination, but it is not served by the agent of this node: the packet goes on as it is.
      branch    not-ours: no destination of a Service
      besides   default/web: NotLabelled: The agent runs beside kube-proxy (--scope labelled), and the Service does not carry service.kubernetes.io/service-proxy-name=sluice.
      "
    `);
  });

  test('two Services ask for one external IP', () => {
    const later = aService({
      name: 'later',
      clusterIPs: ['10.96.0.11'],
      externalIPs: ['192.0.2.80'],
      createdAt: Date.UTC(2026, 1, 1),
      ports: [aPort({ nodePort: 0 })],
    });
    const one = testPicture({ externalIPs: ['192.0.2.80'] });
    const picture = { ...one, services: [...one.services, later] };
    expect(text(ask('198.51.100.7', '192.0.2.80:80', { node: 'n1' }), picture)).toMatchInlineSnapshot(`
      "198.51.100.7 → 192.0.2.80:80/TCP on node n1 (comes in by an interface)

      delivered  Balanced: One of the endpoints gets the connection.
      Service   default/web port http, by its external IP
      branch    external-cluster: an external destination under externalTrafficPolicy Cluster: every endpoint, masqueraded
      choice    at random, by the shares below
      source    masqueraded: endpoints see the address of the interface by which the node reaches them
      besides   default/later: DestinationTaken: 192.0.2.80 port 80/TCP is served for default/web:http/tcp/ipv4, because its Service is older; take it out of one of the two Services

      Candidates (2)
        10.244.1.2:8080  50 %, on n1
        10.244.2.2:8080  50 %, on n2

      Left out (1)
        10.244.2.3:8080  on n2  NotReady: It is not ready.
      "
    `);
  });
});

describe('as data', () => {
  test.each<[string, Question, Picture, string]>([
    [
      'hairpin is masqueraded for the one endpoint',
      ask('pod/web-1', 'svc/web'),
      testPicture(),
      'deliver Balanced internal 10.244.1.2:masquerade 10.244.2.2',
    ],
    [
      'a stranger at a cluster IP',
      ask('198.51.100.7', '10.96.0.10:80', { node: 'n1' }),
      testPicture(),
      'deliver Balanced internal 10.244.1.2:masquerade 10.244.2.2:masquerade',
    ],
    [
      'no endpoints',
      ask('pod/web-1', 'svc/web'),
      testPicture({}, { slices: [] }),
      'reject NoEndpoints internal',
    ],
    [
      'internal policy Local without one here',
      ask('node', 'svc/web', { node: 'n3' }),
      testPicture({ internalTrafficPolicy: 'Local' }),
      'drop NoLocalEndpoints internal',
    ],
    [
      'an undefined port',
      ask('pod/web-1', 'svc/web:81'),
      testPicture(),
      'reject UndefinedPort undefined-port',
    ],
    [
      'the other protocol',
      ask('pod/web-1', 'svc/web:80/udp'),
      testPicture(),
      'reject UndefinedPort undefined-port',
    ],
    ['nothing of ours', ask('pod/web-1', '192.0.2.1:80'), testPicture(), 'untouched NoService not-ours'],
    [
      'a process under policy Local',
      ask('node', 'node:30080', { node: 'n3' }),
      testPicture({ externalTrafficPolicy: 'Local' }),
      'deliver Balanced local-process 10.244.1.2:masquerade 10.244.2.2:masquerade',
    ],
    [
      'a pod under policy Local',
      ask('10.244.3.9', 'node:30080', { node: 'n3' }),
      testPicture({ externalTrafficPolicy: 'Local' }),
      'deliver Balanced local-pod 10.244.1.2 10.244.2.2',
    ],
  ])('%s', (_name, question, picture, said) => {
    const { outcome, reason, branch, endpoints } = answer(question, picture);
    const used = endpoints
      .filter((one) => one.used)
      .map((one) => `${one.address}${one.masquerade ? ':masquerade' : ''}`);
    expect([outcome, reason, branch, ...used].join(' ')).toBe(said);
  });

  test('an address in the Service range that nobody has', () => {
    const settings = { ...testSettings, serviceRanges: ['10.96.0.0/12'] };
    expect(answer(ask('pod/web-1', '10.96.0.99:80'), testPicture(), settings)).toMatchObject({
      outcome: 'drop',
      reason: 'UnallocatedAddress',
    });
  });

  test('shares follow the weights', () => {
    const picture = testPicture({ annotations: { 'sluice.dev/weights': 'node:n1=3' } });
    expect(answer(ask('pod/shop/cart', 'svc/web'), picture).endpoints.map(({ share }) => share)).toEqual([
      0.75, 0.25, 0,
    ]);
  });
});
