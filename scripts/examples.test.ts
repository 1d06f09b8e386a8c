/** The examples and the settings files: right in the eyes of the code that will read them. */
import { describe, expect, test } from 'vitest';
import { parseRange } from '../providers/local/allocator/ranges.ts';
import { slimPool } from '../src/kube/address-kinds.ts';
import { parseAwsConfig } from '../providers/aws/config.ts';
import { parseService } from '../providers/aws/settings.ts';
import { makeIntern } from '../src/kube/intern.ts';
import { slimService } from '../src/kube/slim.ts';
import { readSettings } from '../src/settings/read.ts';
import type { ReadSettings } from '../src/settings/read.ts';
import { documents, files, text } from './tree.ts';

interface Example {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly loadBalancerClass?: string;
    readonly ports?: readonly { readonly protocol?: string; readonly nodePort: number }[];
  };
  readonly endpoints?: readonly { readonly nodeName: string }[];
}

describe('the examples', () => {
  const examples = files('examples/*.yaml').flatMap((path) => documents(path) as readonly Example[]);
  const services = examples.filter(({ kind }) => kind === 'Service');
  const nodes = examples.filter(({ kind }) => kind === 'Node').map(({ metadata }) => metadata.name);

  test('there are Services, nodes, slices and the settings', () => {
    expect(new Set(examples.map(({ kind }) => kind))).toEqual(
      new Set(['Config', 'Service', 'Node', 'EndpointSlice']),
    );
  });

  test.each(services)(
    'Service $metadata.name names its class and its node ports, so it can be planned offline',
    (service) => {
      expect(service.spec?.loadBalancerClass).toBe('sluice.dev/aws');
      for (const { nodePort } of service.spec?.ports ?? []) {
        expect(nodePort).toBeGreaterThanOrEqual(30_000);
        expect(nodePort).toBeLessThan(32_768);
      }
    },
  );

  test.each(services)('Service $metadata.name is accepted by the provider without a word', (service) => {
    const section = documents('examples/config.yaml')[0] as { readonly providers: { readonly aws: unknown } };
    const { config } = parseAwsConfig(section.providers.aws);
    expect(parseService(slimService(service, makeIntern()), config).problems).toEqual([]);
  });

  test('no two of them want the same node port of the same protocol', () => {
    const wanted = services.flatMap(({ spec }) =>
      (spec?.ports ?? []).map(({ protocol = 'TCP', nodePort }) => `${nodePort}/${protocol}`),
    );
    expect(new Set(wanted).size).toBe(wanted.length);
  });

  test('the slices belong to a Service and lie on nodes that are there', () => {
    for (const slice of examples.filter(({ kind }) => kind === 'EndpointSlice')) {
      expect(services.map(({ metadata }) => metadata.name)).toContain(
        slice.metadata.labels?.['kubernetes.io/service-name'],
      );
      expect(nodes).toEqual(expect.arrayContaining((slice.endpoints ?? []).map(({ nodeName }) => nodeName)));
    }
  });
});

describe('the examples of local mode', () => {
  const [pool, web] = [...documents('examples/local/pool.yaml'), ...documents('examples/local/web.yaml')];

  test('the pool is one that the controller reads, in the range of the demo', () => {
    const { addresses } = slimPool(pool as Parameters<typeof slimPool>[0]);
    expect(addresses.map((range) => parseRange(range).kind)).toEqual(['range']);
  });

  test('the Service names the class of local mode', () => {
    expect((web as Example).spec?.loadBalancerClass).toBe('sluice.dev/local');
  });
});

describe('the settings files', () => {
  test.each(['manifests/overlays/aws/config.yaml', 'examples/config.yaml'])('%s has no mistake', (path) => {
    const { settings, problems } = settingsOf(path);
    expect(problems).toEqual([]);
    expect([...settings.providers.keys()]).toEqual(['aws']);
  });
});

function settingsOf(path: string): ReadSettings {
  return readSettings(text(path), path, {
    aws: (section, field) => {
      const { config, problems } = parseAwsConfig(section, field);
      return { settings: config, problems };
    },
  });
}
