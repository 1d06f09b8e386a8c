/**
 * What other processes send to the control endpoints, checked: a misspelt setting or fault must be named, not
 * silently without effect.
 */

import { validation } from './errors.ts';
import type { FaultEffect, FaultOrder } from '../../../src/core/simulated/faults.ts';
import { simulatedOperations } from './operations.ts';
import { defaultSettings, type SettingsInput } from './settings.ts';
import type { Condition, TargetSelector } from './world.ts';

type Json = Readonly<Record<string, unknown>>;

/** Throws ValidationError naming the first setting that does not exist or has a value of the wrong kind. */
export function readSettings(body: unknown): SettingsInput {
  compare(object(body, 'settings'), defaultSettings as unknown as Json, '');
  return body as SettingsInput;
}

function compare(given: Json, known: Json, path: string): void {
  for (const [key, value] of Object.entries(given)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(known, key)) {
      throw validation(`there is no setting '${at}'; known here: ${Object.keys(known).join(', ')}`);
    }
    const model = known[key];
    // Lists of what exists can be given where the default is "any".
    if (Array.isArray(model) || model === 'any') {
      if (!Array.isArray(value) && value !== 'any') throw validation(`setting '${at}' must be a list`);
    } else if (typeof model === 'object' && model !== null) {
      compare(object(value, `setting '${at}'`), model as Json, at);
    } else if (typeof value !== typeof model) {
      throw validation(`setting '${at}' must be a ${typeof model}, not ${JSON.stringify(value)}`);
    }
  }
}

/** What each effect needs, by kind; `hook` carries functions and cannot be sent. */
const EFFECTS: Readonly<Record<Exclude<FaultEffect['kind'], 'hook'>, Readonly<Record<string, string>>>> = {
  error: { code: 'string', message: 'string?', httpStatus: 'number?' },
  throttle: { code: 'string?' },
  latency: { ms: 'number', when: 'string?' },
  'lost-request': {},
  'lost-answer': {},
  hang: { when: 'string?' },
  stale: { ms: 'number?', writes: 'number?' },
  'hide-created': { ms: 'number' },
  'empty-list': {},
  'truncated-list': { keep: 'number' },
};

/** Throws ValidationError naming what is wrong with the order. */
export function readFaultOrder(body: unknown): FaultOrder {
  const order = object(body, 'the fault');
  onlyKnown(order, ['id', 'match', 'nth', 'times', 'effect'], 'the fault');
  const match = object(order['match'] ?? {}, 'match');
  onlyKnown(match, ['operation', 'mutating', 'by', 'input'], 'match');
  for (const operation of [match['operation'] ?? []].flat() as readonly unknown[]) {
    if (typeof operation !== 'string' || !simulatedOperations.has(operation)) {
      throw validation(`match.operation: there is no operation ${JSON.stringify(operation)}`);
    }
  }
  const effect = object(order['effect'], 'effect');
  const kind = String(effect['kind']);
  if (!Object.hasOwn(EFFECTS, kind)) {
    throw validation(`effect.kind must be one of ${Object.keys(EFFECTS).join(', ')}, not '${kind}'`);
  }
  const members = EFFECTS[kind as keyof typeof EFFECTS];
  onlyKnown(effect, ['kind', ...Object.keys(members)], 'effect');
  for (const [name, type] of Object.entries(members)) {
    const value = effect[name];
    if (value === undefined && type.endsWith('?')) continue;
    if (typeof value !== type.replace('?', '')) {
      throw validation(`effect.${name} must be a ${type.replace('?', '')}, not ${JSON.stringify(value)}`);
    }
  }
  if (effect['when'] !== undefined && effect['when'] !== 'before' && effect['when'] !== 'after') {
    throw validation(`effect.when must be 'before' or 'after'`);
  }
  return body as FaultOrder;
}

/** Throws ValidationError for a member that is no part of a selector. */
export function readSelector(value: unknown): TargetSelector {
  const selector = object(value ?? {}, 'selector');
  onlyKnown(selector, ['targetGroupArn', 'id', 'port'], 'selector');
  return selector;
}

/** Throws ValidationError unless it is `{kind: 'healthy'}` or `{kind: 'unhealthy', reason}`. */
export function readCondition(value: unknown): Condition {
  const condition = object(value, 'condition');
  if (condition['kind'] === 'healthy') return { kind: 'healthy' };
  if (condition['kind'] !== 'unhealthy') throw validation("condition.kind must be 'healthy' or 'unhealthy'");
  const reason = text(condition, 'reason');
  if (!isReason(reason)) throw validation(`condition.reason must be one of ${REASONS.join(', ')}`);
  return { kind: 'unhealthy', reason };
}

const REASONS = [
  'Target.FailedHealthChecks',
  'Target.ResponseCodeMismatch',
  'Target.Timeout',
  'Elb.InternalError',
] as const;

function isReason(reason: string): reason is (typeof REASONS)[number] {
  return (REASONS as readonly string[]).includes(reason);
}

function onlyKnown(given: Json, known: readonly string[], what: string): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw validation(`${what} has no member '${unknown}'; known: ${known.join(', ')}`);
}

/** Throws ValidationError unless `value` is a JSON object. */
export function object(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw validation(`${what} must be an object, not ${JSON.stringify(value) ?? 'nothing'}`);
}

/** Throws ValidationError unless member `name` of `value` is a string. */
export function text(value: Json, name: string): string {
  const found = value[name];
  if (typeof found === 'string') return found;
  throw validation(`'${name}' must be a string, not ${JSON.stringify(found) ?? 'absent'}`);
}
