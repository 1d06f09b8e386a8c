import { describe, expect, test } from 'vitest';
import { objectKey } from '../../core/objects.ts';
import { healthzAnswer, livezAnswer, serviceAnswer, type ProxyHealth } from './answer.ts';

const web = objectKey('shop', 'web');

describe('a health-check node port', () => {
  test('answers 200 with the body, the indents and the weight of kube-proxy', () => {
    const { status, headers, body } = serviceAnswer(web, 2, true);
    expect(status).toBe(200);
    expect(headers).toEqual({
      'Content-Type': 'application/json',
      'X-Content-Type-Options': 'nosniff',
      'X-Load-Balancing-Endpoint-Weight': '2',
    });
    expect(body).toBe(
      '{\n\t"service": {\n\t\t"namespace": "shop",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}',
    );
  });

  test.each([
    ['without a ready endpoint', 0, true],
    ['while the agent is not well', 3, false],
    ['for a Service that has just gone', undefined, true],
  ])('answers 503 %s', (_, ready, healthy) => {
    expect(serviceAnswer(web, ready, healthy).status).toBe(503);
  });
});

describe('the health of the agent', () => {
  const now = Date.UTC(2026, 10, 21, 7);
  const health: ProxyHealth = {
    healthy: true,
    reason: '',
    lastUpdated: now - 90_000,
    nodeEligible: true,
  };

  test('says that it is up to date now while all is well', () => {
    const answer = healthzAnswer(health, now);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual({
      lastUpdated: '2026-11-21T07:00:00.000Z',
      currentTime: '2026-11-21T07:00:00.000Z',
      nodeEligible: true,
    });
  });

  test('says when it was, and why it is not, while it is not', () => {
    const answer = livezAnswer({ ...health, healthy: false, reason: 'IPv4: the lock is held' }, now);
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({
      lastUpdated: '2026-11-21T06:58:30.000Z',
      currentTime: '2026-11-21T07:00:00.000Z',
      reason: 'IPv4: the lock is held',
    });
  });

  test('a node that is about to be removed is drained and not restarted', () => {
    expect(healthzAnswer({ ...health, nodeEligible: false }, now).status).toBe(503);
    expect(livezAnswer({ ...health, nodeEligible: false }, now).status).toBe(200);
  });
});
