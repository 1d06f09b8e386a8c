/** The allocator by example; random histories against a naive one stand beside this (allocator-history.test.ts). */
import { expect, test } from 'vitest';
import { Allocator } from './allocator.ts';
import { aPool, aRequest } from './fixtures.ts';
import { judgePools } from './pools.ts';

const both = { families: ['IPv4', 'IPv6'], needsAll: true } as const;

// Found by a random history (seed -1695103705).
test('who needs two addresses that become free together does not go before one who came earlier for one of them', () => {
  const allocator = new Allocator();
  allocator.setPools(judgePools([aPool('p', ['192.0.2.0/31', '2001:db8::1/128'])]));
  const holder = aRequest('holder', { ...both, named: ['192.0.2.0'] });
  allocator.ask(holder);
  allocator.ask(aRequest('early', { families: ['IPv4', 'IPv6'], needsAll: false, since: 1 }));
  allocator.ask(aRequest('late', { ...both, named: ['192.0.2.0'], since: 2 }));
  allocator.release(holder.uid);
  expect(allocator.holdersOf('2001:db8::1')).toEqual(['default/early']);
  expect(allocator.waiting()).toEqual(['default/late']);
});

test('Services under policy Local share an address only where their selectors are equal, and each keeps what it had', () => {
  const allocator = new Allocator();
  allocator.setPools(judgePools([aPool('p', ['192.0.2.1/32'])]));
  const web = aRequest('web', { sharing: { key: 'k', backend: 'app=a' }, ports: ['80/TCP'] });
  const dns = aRequest('dns', { sharing: { key: 'k', backend: 'app=a' }, ports: ['53/UDP'] });
  allocator.ask(web);
  expect(allocator.ask(dns).grants).toMatchObject([{ address: '192.0.2.1' }]);
  const changed = { ...dns, sharing: { key: 'k', backend: 'app=b' } };
  expect(allocator.ask(changed)).toMatchObject({ grants: [], lack: { reason: 'PoolExhausted' } });
  expect(allocator.holdersOf('192.0.2.1')).toEqual(['default/web']);
  expect(allocator.ask(dns).grants).toMatchObject([{ address: '192.0.2.1' }]);
});
