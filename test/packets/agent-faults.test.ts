/**
 * The agent among faults, as its own process on a node, with each backend: killed, frozen, without an API server, with
 * rules changed by others, another backend or variant taking over. What is asked all the time is whether connections
 * still come through.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { apply, type Manifest } from '../../src/sandbox/objects.ts';
import { freeze } from '../cluster/freeze.ts';
import { AgentGround, kinds, notesOf, plainRules, says, service, told, wroteAll } from './agent-ground.ts';
import { until } from './check.ts';

const ground = new AgentGround();

describe.each(kinds)('with %s', (name, args) => {
  test('killed, restarted, frozen, or without its API server, no connection is lost', async () => {
    await ground.cluster.become([service(), ground.slice(['n1-a'])]);
    const first = await ground.start(args);
    await ground.serves(first, 'n1-a');
    await wroteAll(first);
    const before = await ground.kernel();
    const probers = await ground.watching();

    await first.stop(0);
    await sleep(300);
    const second = await ground.start(args);
    expect(await wroteAll(second)).toEqual([0, 0]);
    expect(await ground.kernel()).toBe(before);

    await freeze(second);
    await apply(ground.cluster.api, ground.slice(['n1-a', 'n2-a']));
    await sleep(500);
    expect(await ground.kernel()).toBe(before);
    second.signal('SIGCONT');
    await until('it has caught up', async () => (await ground.who()) === 'n2-a');

    // Its connections to the API server are cut when it next says something, and no new one is let through.
    onTestFinished(async () => {
      await ground.bed.run('n1', 'nft', ['delete', 'table', 'ip', 'away']);
    });
    const port = new URL(ground.cluster.controlPlane.url).port;
    await ground.bed.succeed('n1', 'nft', ['-f', '-'], {
      input: `table ip away {
        chain output {
          type filter hook output priority 0
          tcp dport ${port} reject with tcp reset
        }
      }\n`,
    });
    const touched = (object: Manifest): Manifest => ({
      ...object,
      metadata: { ...object.metadata, annotations: { touched: 'yes' } },
    });
    await apply(ground.cluster.api, touched(service()));
    await apply(ground.cluster.api, touched(ground.slice(['n1-a', 'n2-a'])));
    await says(second, 'reading services failed');
    await says(second, 'reading endpointslices failed');
    await apply(ground.cluster.api, ground.slice(['n2-a']));
    await sleep(1_000);
    expect((await ground.kernel()).includes(ground.bed.pod('n1-a').address.IPv4)).toBe(true);
    await ground.bed.succeed('n1', 'nft', ['delete', 'table', 'ip', 'away']);
    const gone = ground.bed.pod('n1-a').address.IPv4;
    await until('it follows again', async () => !(await ground.kernel()).includes(gone));
    // By what has changed, not by writing everything anew.
    expect(await wroteAll(second)).toEqual([0, 0]);
    expect(await probers.lost()).toEqual([]);
  });

  test('chains and jumps that another program takes away come back, and its own stay', async () => {
    await ground.cluster.become([service(), ground.slice(['n1-a'])]);
    const agent = await ground.start(args);
    await ground.serves(agent, 'n1-a');
    await wroteAll(agent);
    const right = await ground.kernel();
    const tool = name === 'nftables' ? 'nft' : name;
    // A foreign chain before ours, and ours without its jump or its rules.
    const foreign =
      name === 'nftables'
        ? [
            'add table ip foreign { chain first { type nat hook prerouting priority -150; ip daddr 192.0.2.99 dnat to 192.0.2.98; }; }',
            'flush chain ip sluice services; delete chain ip sluice prerouting',
          ]
        : [
            '-t nat -N FOREIGN',
            '-t nat -A FOREIGN -d 192.0.2.99 -j RETURN',
            '-t nat -I PREROUTING -j FOREIGN',
            '-t nat -D PREROUTING -j SLUICE-SERVICES',
            '-t nat -F SLUICE-SERVICES',
          ];
    for (const command of foreign) {
      const words = name === 'nftables' ? [command] : ['-w', '5', ...command.split(' ')];
      await ground.bed.succeed('n1', tool, words);
    }
    await ground.serves(agent, 'n1-a');
    const { outside } = ground;
    await until('the node port answers', async () => (await ground.who(outside, 'x1')) === 'n1-a');
    const foreignRules = async (): Promise<string> =>
      name === 'nftables'
        ? await ground.bed.succeed('n1', 'nft', ['list', 'table', 'ip', 'foreign'])
        : await ground.bed.succeed('n1', tool, ['-t', 'nat', '-S']);
    expect(await foreignRules()).toMatch(
      name === 'nftables'
        ? /dnat to 192\.0\.2\.98/u
        : /-A PREROUTING -j FOREIGN[^]*-A FOREIGN -d 192\.0\.2\.99/u,
    );
    await until('the agent is done', async () => {
      if (name === 'nftables') await ground.bed.run('n1', 'nft', ['delete', 'table', 'ip', 'foreign']);
      else {
        await ground.bed.run('n1', tool, ['-w', '5', '-t', 'nat', '-D', 'PREROUTING', '-j', 'FOREIGN']);
        await ground.bed.run('n1', tool, ['-w', '5', '-t', 'nat', '-F', 'FOREIGN']);
        await ground.bed.run('n1', tool, ['-w', '5', '-t', 'nat', '-X', 'FOREIGN']);
      }
      return plainRules(await ground.kernel()) === plainRules(right);
    });
    // nftables and the nft variant of iptables tell whose change it was.
    if (name === 'iptables-legacy') return;
    const again =
      name === 'nftables'
        ? ['flush chain ip sluice services']
        : ['-w', '5', '-t', 'nat', '-F', 'SLUICE-SERVICES'];
    await until('an event names the process', async () => {
      const answer = await ground.cluster.api.request('GET', '/apis/events.k8s.io/v1/events');
      if (/xtables-nft|iptables|nft/u.test(notesOf(answer).join('\n'))) return true;
      // Who had changed something before the agent began to listen can be named by nobody: once more.
      await ground.bed.succeed('n1', tool, again);
      await sleep(2_000);
      return false;
    });
    await until('it is done again', async () => plainRules(await ground.kernel()) === plainRules(right));
  });

  test('another takes its place under live connections: nothing is lost, nothing translated twice', async () => {
    const [other, otherArgs] =
      kinds[(kinds.findIndex(([one]) => one === name) + 1) % kinds.length] ?? kinds[0];
    await ground.cluster.become([service(), ground.slice(['n1-a'])]);
    const first = await ground.start(args);
    await ground.serves(first, 'n1-a');
    await wroteAll(first);
    const held = await ground.bed.hold('x1', ground.outside);
    expect((await held.check()).self).toBe('n1-a');
    const probers = await ground.watching();
    await first.stop(0);
    const second = await ground.start(otherArgs);
    await told(
      second,
      until(`${other} is alone`, async () => {
        const [nft, nftVariant, legacy] = await Promise.all([
          ground.bed.succeed('n1', 'nft', ['list', 'tables']),
          ground.bed.succeed('n1', 'iptables-nft-save', []),
          ground.bed.succeed('n1', 'iptables-legacy-save', []),
        ]);
        const has = [
          nft.includes('table ip sluice'),
          nftVariant.includes('SLUICE'),
          legacy.includes('SLUICE'),
        ];
        return has.join() === kinds.map(([one]) => one === other).join();
      }),
    );
    expect((await held.check()).kind).toBe('answered');
    await held.close();
    await apply(ground.cluster.api, ground.slice(['n2-a']));
    await ground.serves(second, 'n2-a');
    expect(await probers.lost()).toEqual([]);
  });
});
