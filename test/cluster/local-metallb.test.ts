/**
 * From MetalLB to pools of our own on a real API server, with MetalLB's kinds and objects as its controller leaves
 * them: the plan, consent, addresses in use kept, a failure in the middle, and the same command run again.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isSluiceError } from '../../src/core/errors.ts';
import { condition, until, untilService } from '../../src/sandbox/demo/stage.ts';
import { apply, read, type Manifest } from '../../src/sandbox/objects.ts';
import { ipsOf, LocalGround } from './local-ground.ts';
import { sluice, type Answer } from './program.ts';

let ground: LocalGround;
/** Paths of what the running test made beside Services and pools. */
const made: string[] = [];
const mark = 'metallb.io/ip-allocated-from-pool';

beforeAll(async () => {
  ground = await LocalGround.open({ local: {} });
  ground.playAgent(() => 'free');
  for (const [plural, kind] of [
    ['ipaddresspools', 'IPAddressPool'],
    ['l2advertisements', 'L2Advertisement'],
    ['bgpadvertisements', 'BGPAdvertisement'],
  ] as const)
    await define(plural, kind);
}, 600_000);

// What the command makes goes too: a second try begins where the first one did.
afterEach(async () => {
  for (const path of made.splice(0).toReversed()) await gone(path);
  const list = (await ground.api.request('GET', '/apis/sluice.dev/v1alpha1/addresspools')) as {
    readonly items: readonly Manifest[];
  };
  await ground.tidy();
  for (const { metadata } of list.items)
    await gone(`/apis/sluice.dev/v1alpha1/addresspools/${metadata?.name ?? ''}`);
  await ground.tidy({ forget: true });
});

async function gone(path: string): Promise<void> {
  await ground.api.request('DELETE', path, { body: { gracePeriodSeconds: 0 } }).catch((error: unknown) => {
    if (!isSluiceError(error) || error.kind !== 'gone') throw error;
  });
}

afterAll(async () => {
  await ground?.close();
});

function migrate(...more: readonly string[]): Promise<Answer> {
  return sluice(['migrate', '--from', 'metallb', ...more], { KUBECONFIG: ground.sandbox.kubeconfig });
}

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const root = '/apis/metallb.io/v1beta1/namespaces/metallb-system';

/** As much of the kind as it takes to store its objects. */
async function define(plural: string, kind: string): Promise<void> {
  await ground.api.request('POST', crds, {
    body: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.metallb.io` },
      spec: {
        group: 'metallb.io',
        scope: 'Namespaced',
        names: { plural, kind, singular: kind.toLowerCase() },
        versions: [
          {
            name: 'v1beta1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
              },
            },
          },
        ],
      },
    },
  });
  await until(`${kind} is served`, () =>
    ground.api.request('GET', `/apis/metallb.io/v1beta1/${plural}`).then(
      () => true,
      () => undefined,
    ),
  );
}

async function put(plural: string, kind: string, name: string, spec: object): Promise<void> {
  made.push(`${root}/${plural}/${name}`);
  await ground.api.request('POST', `${root}/${plural}`, {
    body: { apiVersion: 'metallb.io/v1beta1', kind, metadata: { name, namespace: 'metallb-system' }, spec },
  });
}

/** A Service as MetalLB's controller leaves it: its mark, and the address under its field manager. */
async function ofMetallb(name: string, ip: string, spec: object = {}): Promise<Manifest> {
  const manifest = ground.service({ name, spec: { loadBalancerClass: undefined, ...spec } });
  await apply(ground.api, manifest);
  const write = (path: string, body: object): Promise<unknown> =>
    ground.api.request('PATCH', `/api/v1/namespaces/default/services/${name}${path}`, {
      query: { fieldManager: 'controller' },
      contentType: 'application/merge-patch+json',
      body,
    });
  await write('', { metadata: { annotations: { [mark]: 'office' } } });
  await write('/status', { status: { loadBalancer: { ingress: [{ ip }] } } });
  return manifest;
}

async function pod(name: string, labels: object, owner: object): Promise<() => Promise<void>> {
  const path = '/api/v1/namespaces/metallb-system/pods';
  made.push(`${path}/${name}`);
  await ground.api.request('POST', path, {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels, ownerReferences: [{ apiVersion: 'apps/v1', uid: 'u', ...owner }] },
      spec: { containers: [{ name: 'main', image: 'none.invalid/none' }] },
    },
  });
  return () => gone(`${path}/${name}`);
}

/** Everything of MetalLB's, to show that none of it changes. */
async function theirs(): Promise<string> {
  const kinds = ['ipaddresspools', 'l2advertisements', 'bgpadvertisements'];
  const lists = await Promise.all(
    kinds.map((plural) => ground.api.request('GET', `/apis/metallb.io/v1beta1/${plural}`)),
  );
  return JSON.stringify(lists.map((list) => (list as { readonly items: unknown }).items));
}

/** Refuses every change of the Service by anybody, as a webhook of somebody might. */
async function refusing(name: string): Promise<() => Promise<void>> {
  const base = '/apis/admissionregistration.k8s.io/v1';
  const policy = `${base}/validatingadmissionpolicies`;
  const binding = `${base}/validatingadmissionpolicybindings`;
  const apiVersion = 'admissionregistration.k8s.io/v1';
  made.push(`${policy}/pools3-refuses`, `${binding}/pools3-refuses`);
  await ground.api.request('POST', policy, {
    body: {
      apiVersion,
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'pools3-refuses' },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['services'] },
          ],
        },
        validations: [{ expression: `object.metadata.name != '${name}'`, message: 'frozen until Monday' }],
      },
    },
  });
  await ground.api.request('POST', binding, {
    body: {
      apiVersion,
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'pools3-refuses' },
      spec: { policyName: 'pools3-refuses', validationActions: ['Deny'] },
    },
  });
  const path = `/api/v1/namespaces/default/services/${name}`;
  const tried = { query: { dryRun: 'All' }, contentType: 'application/merge-patch+json' } as const;
  const dry = (): Promise<boolean> =>
    ground.api.request('PATCH', path, { ...tried, body: { metadata: { labels: { tried: 'x' } } } }).then(
      () => true,
      () => false,
    );
  await until('the policy holds', async () => ((await dry()) ? undefined : true));
  return async () => {
    await ground.api.request('DELETE', `${binding}/pools3-refuses`);
    await ground.api.request('DELETE', `${policy}/pools3-refuses`);
    await until('the policy is gone', async () => ((await dry()) ? true : undefined));
  };
}

test('the whole way: plan, pools, MetalLB stopped, a failure in the middle, run again; every address stays', async () => {
  await apply(ground.api, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'metallb-system' } });
  await put('ipaddresspools', 'IPAddressPool', 'office', {
    addresses: ['192.0.2.0/28'],
    avoidBuggyIPs: true,
  });
  await put('ipaddresspools', 'IPAddressPool', 'lab', {
    addresses: ['198.51.100.1-198.51.100.9'],
    autoAssign: false,
  });
  await put('l2advertisements', 'L2Advertisement', 'all', {});
  await put('bgpadvertisements', 'BGPAdvertisement', 'far', {});
  const stop = [
    await pod(
      'controller-1',
      { app: 'metallb', component: 'controller' },
      { kind: 'ReplicaSet', name: 'controller-6f' },
    ),
    await pod('speaker-1', { app: 'metallb', component: 'speaker' }, { kind: 'DaemonSet', name: 'speaker' }),
  ];
  const services = [
    await ofMetallb('a', '192.0.2.5'),
    await ofMetallb('b', '192.0.2.1'),
    await ofMetallb('c', '203.0.113.7'),
  ];
  const classed = await ofMetallb('classed', '192.0.2.9', { loadBalancerClass: 'example.com/metallb' });
  const before = await theirs();
  const addresses = (): Promise<string[]> =>
    Promise.all([...services, classed].map(async (one) => ipsOf(await read(ground.api, one)).join()));
  const shown = await addresses();

  // Only a plan: YAML for a file, the rest for a person, and nothing is changed.
  const planned = await migrate();
  expect(planned.code, planned.err).toBe(2);
  expect(planned.out).toMatch(
    /^---\napiVersion: sluice\.dev\/v1alpha1\nkind: AddressPool\nmetadata:\n {2}name: /u,
  );
  expect(planned.err).toContain('BGPAdvertisement far has no counterpart');
  expect(planned.err).toMatch(/AddressPools:\n {2}create +lab\n {2}create +office\n/u);
  expect(planned.err).toMatch(/ {2}left +default\/a with 192\.0\.2\.5: MetalLB still runs\n/u);
  expect(planned.err).toContain(
    'kubectl -n metallb-system scale deployment --selector app=metallb --replicas 0',
  );
  expect(planned.err).toContain('kubectl -n metallb-system patch daemonset speaker --type merge');
  expect(planned.err).toContain(
    'kubectl -n default annotate service classed sluice.dev/addresses=192.0.2.9 && ',
  );

  // Nobody there to ask: nothing is done.
  const unasked = await migrate('--apply');
  expect(unasked.code).toBe(1);
  expect(unasked.err).toContain('say --yes');
  const pools = async (): Promise<readonly string[]> => {
    const list = (await ground.api.request('GET', '/apis/sluice.dev/v1alpha1/addresspools')) as {
      readonly items: readonly Manifest[];
    };
    return list.items.map(({ metadata }) => metadata?.name ?? '');
  };
  expect(await pools()).toEqual([]);

  // The pools come first; as long as MetalLB runs its Services stay with it, and their addresses are given to nobody.
  const first = await migrate('--apply', '--yes');
  expect(first.code, first.err).toBe(3);
  expect(first.err).toMatch(/done +AddressPool lab\n.*done +AddressPool office\n/u);
  expect(first.err).toContain('4 Services stay with MetalLB, as said above.');
  expect(await pools()).toEqual(['lab', 'office']);
  const fresh = await ground.applied();
  expect(['192.0.2.2', '192.0.2.3']).toContain(await ground.addressOf(fresh));

  // MetalLB is stopped; one of its Services cannot be changed.
  for (const end of stop) await end();
  const thaw = await refusing('b');
  const halfway = await migrate('--apply', '--yes');
  expect(halfway.code, halfway.err).toBe(1);
  expect(halfway.err).toMatch(/AddressPools:\n {2}is there +lab\n {2}is there +office\n/u);
  expect(halfway.err).toMatch(/done +default\/a with 192\.0\.2\.5\n/u);
  expect(halfway.err).toMatch(/failed +default\/b with 192\.0\.2\.1: .*frozen until Monday/u);
  expect(halfway.err).toMatch(/done +default\/c with 203\.0\.113\.7\n/u);
  expect(halfway.err).toContain('Run the command again: it goes on with what is left.');
  await thaw();

  const again = await migrate('--apply', '--yes');
  expect(again.err).not.toMatch(/default\/[ac] /u);
  expect(again.err).toMatch(/done +default\/b with 192\.0\.2\.1\n/u);
  expect(again.err).toContain('1 Service stays with MetalLB, as said above.');
  expect(again.code).toBe(3);

  for (const service of services) {
    await ground.tells(service, 'Provisioned', 'Active');
    const { value: live } = await untilService(
      ground.api,
      service,
      'is not written by others any more',
      (one) => condition(one, 'Accepted')?.reason !== 'ForeignWriter',
    );
    expect(live?.metadata?.finalizers).toContain('sluice.dev/balancer');
    expect(live?.metadata?.annotations).not.toHaveProperty([mark]);
  }
  // In no pool: it keeps it, and is told.
  const [, , outside] = services;
  if (outside !== undefined) await ground.tells(outside, 'Accepted', 'AddressDraining');
  expect(await addresses()).toEqual(shown);
  expect(await theirs()).toBe(before);
  const objects = await ground.addresses();
  expect(
    objects
      .filter(({ services: of }) => of.length > 0)
      .map(({ address }) => address)
      .toSorted(),
  ).toEqual(expect.arrayContaining(['192.0.2.1', '192.0.2.5', '203.0.113.7']));

  // All that can be done is done.
  const last = await migrate('--apply', '--yes', 'default/a');
  expect(last.code, last.err).toBe(0);
  expect(last.err).toContain('Nothing is to be done.');
  // The same for all Services: one of them stays, which is no failure.
  for (const mode of [['--apply', '--yes'], ['--plan-only']]) {
    const stays = await migrate(...mode);
    expect(stays.code, stays.err).toBe(3);
    expect(stays.err).toMatch(/left +default\/classed with .*: its class /u);
  }
});

test('an AddressPool that somebody set to other values is left as it is, and the others are applied', async () => {
  await apply(ground.api, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'metallb-system' } });
  await put('ipaddresspools', 'IPAddressPool', 'office', { addresses: ['192.0.2.0/28'] });
  await ofMetallb('a', '192.0.2.5');
  await put('ipaddresspools', 'IPAddressPool', 'mine', { addresses: ['203.0.113.64/28'] });
  await put('ipaddresspools', 'IPAddressPool', 'more', { addresses: ['203.0.113.96/28'] });
  const mine = await ground.pool('mine', { addresses: ['203.0.113.80/28'] });
  const done = await migrate('--apply', '--yes', 'default/a');
  expect(done.code, done.err).toBe(1);
  expect(done.err).toMatch(/left +mine: an AddressPool of this name is there with other values/u);
  expect(done.err).toMatch(/done +AddressPool more\n/u);
  expect((await read(ground.api, mine))?.['spec']).toMatchObject({ addresses: ['203.0.113.80/28'] });
});
