/**
 * manifests/aws/iam-policy.json as AWS would read it: a small evaluator for the elements that the policy uses,
 * over the record of calls that a simulated account keeps.
 *
 * Sources: the service authorization reference of Elastic Load Balancing V2 (which resource each action is
 * about; `AddTags` is asked for beside every create call that brings tags) and the IAM reference of condition
 * operators (`Null`, `StringEquals`, `ForAllValues:`).
 */
import { readFile } from 'node:fs/promises';
import type { RecordedCall } from '../../providers/aws/simulator/record.ts';
import { packageRoot } from '../../src/sandbox/sandbox.ts';

type OneOrMore = string | readonly string[];

interface Statement {
  readonly Sid: string;
  readonly Effect: string;
  readonly Action: OneOrMore;
  readonly Resource: OneOrMore;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>;
}

export interface Policy {
  readonly Statement: readonly Statement[];
}

/** One authorization: an action on a resource, with what the conditions may ask for. */
export interface Request {
  readonly action: string;
  readonly arn: string;
  /** Condition key → values; a key that is not there is `Null`. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
}

type Tags = Readonly<Record<string, string>>;

export async function shippedPolicy(): Promise<Policy> {
  return JSON.parse(await readFile(new URL('manifests/aws/iam-policy.json', packageRoot), 'utf8')) as Policy;
}

export function actionsOf(policy: Policy): ReadonlySet<string> {
  return new Set(policy.Statement.flatMap(({ Action }) => [Action].flat()));
}

/** What the policy would refuse of the calls that Sluice made, in the order of the record. */
export function refusals(policy: Policy, calls: readonly RecordedCall[]): readonly Request[] {
  /** As they stand at the moment of each call; what was made by hand counts as well. */
  const tags = new Map<string, Tags>();
  const refused: Request[] = [];
  for (const call of calls) {
    if (call.by !== 'hand' && call.error === undefined)
      refused.push(...requestsOf(call, tags).filter((request) => !allows(policy, request)));
    for (const { arn, change, tags: before } of call.touched)
      if (change === 'created' || !tags.has(arn)) tags.set(arn, before);
    retag(call, tags);
  }
  return refused;
}

export function allows({ Statement: statements }: Policy, { action, arn, keys }: Request): boolean {
  return statements.some(
    ({ Effect, Action, Resource, Condition = {} }) =>
      Effect === 'Allow' &&
      [Action].flat().includes(action) &&
      [Resource].flat().some((pattern) => like(pattern, arn)) &&
      Object.entries(Condition).every(([operator, wanted]) =>
        Object.entries(wanted).every(([key, values]) => holds(operator, keys[key], [values].flat())),
      ),
  );
}

function holds(operator: string, given: readonly string[] | undefined, values: readonly string[]): boolean {
  switch (operator) {
    case 'Null':
      return (given === undefined) === (values[0] === 'true');
    case 'StringEquals':
      return given?.some((one) => values.includes(one)) ?? false;
    case 'ForAllValues:StringNotEquals':
      return (given ?? []).every((one) => !values.includes(one));
    default:
      throw new Error(`the policy uses ${operator}, which this evaluator does not know`);
  }
}

function like(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/gu, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`, 'u').test(text);
}

interface Input {
  readonly Name?: string;
  readonly Tags?: readonly { readonly Key: string; readonly Value: string }[];
  readonly TagKeys?: readonly string[];
  readonly ResourceArns?: readonly string[];
  readonly LoadBalancerArn?: string;
  readonly TargetGroupArn?: string;
  readonly ListenerArn?: string;
}

function requestsOf(call: RecordedCall, tags: ReadonlyMap<string, Tags>): readonly Request[] {
  const input = call.input as Input;
  const action = `elasticloadbalancing:${call.operation}`;
  if (!call.mutating) return [{ action, arn: '*', keys: {} }];
  const brought = tagKeys(input);
  const created = call.touched.find(({ change }) => change === 'created')?.arn;
  switch (call.operation) {
    case 'CreateLoadBalancer':
    case 'CreateTargetGroup': {
      // Asked again for what exists, AWS names the existing one.
      const arn = created ?? placeFor(call.operation, input.Name ?? '');
      return [{ action, arn, keys: brought }, ...marking(call.operation, arn, brought)];
    }
    case 'CreateListener': {
      const balancer = input.LoadBalancerArn ?? '';
      const arn = created ?? `${balancer.replace(':loadbalancer/', ':listener/')}/0`;
      return [
        { action, arn: balancer, keys: { ...brought, ...resourceKeys(tags.get(balancer)) } },
        ...marking(call.operation, arn, brought),
      ];
    }
    case 'AddTags':
    case 'RemoveTags':
      return (input.ResourceArns ?? []).map((arn) => ({
        action,
        arn,
        keys: { ...brought, ...resourceKeys(tags.get(arn)) },
      }));
    default: {
      const arn = input.ListenerArn ?? input.TargetGroupArn ?? input.LoadBalancerArn ?? '';
      return [{ action, arn, keys: resourceKeys(tags.get(arn)) }];
    }
  }
}

function placeFor(operation: string, name: string): string {
  const kind = operation === 'CreateLoadBalancer' ? 'loadbalancer/net' : 'targetgroup';
  return `arn:aws:elasticloadbalancing:eu-west-1:123456789012:${kind}/${name}/0`;
}

/** The second authorization of a create call that brings tags. */
function marking(operation: string, arn: string, brought: Request['keys']): readonly Request[] {
  if (brought['aws:TagKeys'] === undefined) return [];
  return [
    {
      action: 'elasticloadbalancing:AddTags',
      arn,
      keys: { ...brought, 'elasticloadbalancing:CreateAction': [operation] },
    },
  ];
}

function tagKeys({ Tags: list, TagKeys }: Input): Request['keys'] {
  const names = TagKeys ?? list?.map(({ Key }) => Key);
  if (names === undefined) return {};
  return {
    'aws:TagKeys': names,
    ...Object.fromEntries((list ?? []).map(({ Key, Value }) => [`aws:RequestTag/${Key}`, [Value]])),
  };
}

function resourceKeys(tags: Tags = {}): Request['keys'] {
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:ResourceTag/${key}`, [value]]));
}

function retag(call: RecordedCall, tags: Map<string, Tags>): void {
  const { ResourceArns = [], Tags: list = [], TagKeys = [] } = call.input as Input;
  if (call.error !== undefined) return;
  for (const arn of ResourceArns) {
    if (call.operation === 'AddTags')
      tags.set(arn, { ...tags.get(arn), ...Object.fromEntries(list.map(({ Key, Value }) => [Key, Value])) });
    if (call.operation === 'RemoveTags')
      tags.set(
        arn,
        Object.fromEntries(Object.entries(tags.get(arn) ?? {}).filter(([key]) => !TagKeys.includes(key))),
      );
  }
}
