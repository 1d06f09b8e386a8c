import { describe, expect, test } from 'vitest';
import { aPort, aService } from '../core/fixtures.ts';
import type { ListenerView } from '../../providers/local/laptop/engine/engine.ts';
import { lineOf, renderRows, rowsOf, urlOf } from './local-table.ts';

describe('the URL of a port', () => {
  test.each([
    ['127.80.0.1', 80, 80, 'TCP', '', 'http://127.80.0.1'],
    ['127.80.0.1', 8080, 80, 'TCP', '', 'http://127.80.0.1:8080'],
    ['127.80.0.1', 8443, 443, 'TCP', '', 'https://127.80.0.1:8443'],
    ['127.80.0.1', 443, 443, 'TCP', '', 'https://127.80.0.1'],
    ['127.80.0.1', 9000, 9000, 'TCP', 'web-ui http', 'http://127.80.0.1:9000'],
    ['127.80.0.1', 5432, 5432, 'TCP', 'postgres', 'tcp://127.80.0.1:5432'],
    ['127.80.0.1', 5353, 5353, 'UDP', 'dns', 'udp://127.80.0.1:5353'],
    ['::1', 8080, 80, 'TCP', '', 'http://[::1]:8080'],
  ] as const)('%s %i for %i/%s %s is %s', (address, listenPort, port, protocol, hint, url) => {
    expect(urlOf(address, listenPort, port, protocol, hint)).toBe(url);
  });
});

const service = aService({ ports: [aPort({ port: 80 })] });
function view(health: 'healthy' | 'unhealthy', kind: 'node' | 'api' = 'node'): ListenerView {
  const target =
    kind === 'api' ? ({ kind } as const) : ({ kind, node: 'n1', address: '10.0.0.1', port: 30_080 } as const);
  return {
    service: service.key,
    address: '127.80.0.1',
    protocol: 'TCP',
    port: 80,
    listenPort: 8080,
    rules: { sourceRanges: [], affinityMs: 0 },
    targets: [{ target, health, reason: '' }],
    count: { open: 1, total: 2, failed: 0, refused: 0 },
  };
}

describe('the row of a Service', () => {
  test.each([
    ['by nodes', [view('healthy')], 'ready', 'nodes'],
    ['by the API server', [view('healthy', 'api')], 'ready', 'api'],
    ['nobody answers', [view('unhealthy')], 'waiting', 'none'],
    ['nothing is open', [], 'waiting', 'none'],
  ] as const)('%s', (_, listeners, state, via) => {
    const [row] = rowsOf([service], listeners);
    expect(row).toMatchObject({ service: 'default/web', state, ports: [{ via }] });
  });

  test('a Service of which one port is not open yet is not called ready', () => {
    const more = aService({ ports: [aPort({ port: 80 }), aPort({ name: 'more', port: 81 })] });
    const [row] = rowsOf([more], [view('healthy')]);
    expect(row).toMatchObject({ state: 'waiting', message: 'port 81 (TCP) is not open yet' });
  });

  test('shows what the condition says where something failed', () => {
    const failed = aService({
      conditions: [
        {
          type: 'InSync',
          status: 'False',
          reason: 'SyncLoadBalancerFailed',
          message: '127.80.0.1:8080/TCP is taken by another program',
          lastTransitionTime: '',
        },
      ],
    });
    const rows = rowsOf([failed], []);
    expect(rows[0]?.state).toBe('failed');
    const lines = renderRows(rows, { colour: false, columns: 80 });
    expect(lines.join('\n')).toContain('is taken by another program');
    expect(lineOf(rows[0] ?? rowsOf([service], [])[0] ?? never())).toContain('failed: 127.80.0.1:8080/TCP');
  });

  test('what was not accepted is told by the mistake itself, to the end of its cure, in lines that fit', () => {
    const said =
      'spec.ports[1].nodePort: port 53/UDP has no node port to lead to; set spec.allocateLoadBalancerNodePorts to true, or name a nodePort';
    const waits = 'Nothing is provisioned until the Service is accepted';
    const refused = aService({
      conditions: [
        {
          type: 'Accepted',
          status: 'False',
          reason: 'NodePortMissing',
          message: said,
          lastTransitionTime: '',
        },
        {
          type: 'Provisioned',
          status: 'False',
          reason: 'NodePortMissing',
          message: waits,
          lastTransitionTime: '',
        },
        {
          type: 'InSync',
          status: 'False',
          reason: 'NodePortMissing',
          message: waits,
          lastTransitionTime: '',
        },
      ],
    });
    const rows = rowsOf([refused], []);
    expect(rows[0]).toMatchObject({ state: 'failed', message: said });
    const lines = renderRows(rows, { colour: false, columns: 60 });
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(
      lines
        .slice(2)
        .map((line) => line.trim())
        .join(' '),
    ).toBe(said);
  });

  test.each([true, false])('no line is longer than the terminal is wide (colour %s)', (colour) => {
    const long = aService({
      name: 'a-name-as-long-as-charts-make-them-with-release-and-component-in-it',
      ports: [aPort({ port: 5432, name: 'db' }), aPort({ port: 5433, name: 'more' })],
    });
    const lines = renderRows(rowsOf([service, long], [view('healthy')]), { colour, columns: 50 });
    // oxlint-disable-next-line no-control-regex -- these are what colours are made of
    const seen = lines.map((line) => line.replaceAll(/\u001B\[\d*m/gu, ''));
    expect(Math.max(...seen.map((line) => line.length))).toBeLessThanOrEqual(50);
    expect(seen.some((line) => line.startsWith('default/a-name') && line.endsWith('waiting'))).toBe(true);
    expect(seen.join('\n')).toContain('http://127.80.0.1:8080');
  });

  test('columns stand below each other, and names give way before URLs', () => {
    const other = aService({ name: 'a-much-longer-name', ports: [aPort({ port: 5432, name: 'db' })] });
    const lines = renderRows(rowsOf([service, other], [view('healthy')]), { colour: false, columns: 60 });
    expect(lines[0]).toMatch(/^SERVICE {2,}/u);
    expect(lines.some((line) => line.includes('http://127.80.0.1:8080') && line.endsWith('ready'))).toBe(
      true,
    );
    expect(lines.find((line) => line.startsWith('default/a-much'))).toContain('is not open');
  });

  test('nobody is served: it says what would be', () => {
    expect(renderRows([], { colour: false, columns: 80 }).join('')).toContain('sluice.dev/local');
  });
});

function never(): never {
  throw new Error('unreachable');
}
