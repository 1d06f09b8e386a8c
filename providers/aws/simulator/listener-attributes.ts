/** Attributes of a listener: for TCP the idle timeout, for the others none that can be set. */

import type {
  DescribeListenerAttributesInput,
  DescribeListenerAttributesOutput,
  ModifyListenerAttributesInput,
  ModifyListenerAttributesOutput,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { changeAttributes, listAttributes, wholeNumber } from './attributes.ts';
import type { AttributeRule } from './attributes.ts';
import { findListener } from './context.ts';
import type { Context } from './context.ts';
import type { ListenerRecord } from './store.ts';

const streamRules: readonly AttributeRule[] = [
  { key: 'tcp.idle_timeout.seconds', initial: '350', check: wholeNumber(60, 6000) },
];

export function describeListenerAttributes(
  context: Context,
  input: DescribeListenerAttributesInput,
): DescribeListenerAttributesOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  return { Attributes: listAttributes(rulesFor(record), record.attributes) };
}

export function modifyListenerAttributes(
  context: Context,
  input: ModifyListenerAttributesInput,
): ModifyListenerAttributesOutput {
  const record = findListener(context, input.ListenerArn ?? '');
  const rules = rulesFor(record);
  const attributes = changeAttributes(
    rules,
    record.attributes,
    input.Attributes,
    `${record.protocol} listeners`,
  );
  context.store.put({ ...record, attributes }, context.now);
  return { Attributes: listAttributes(rules, attributes) };
}

function rulesFor(record: ListenerRecord): readonly AttributeRule[] {
  return record.protocol === 'TCP' || record.protocol === 'TCP_UDP' ? streamRules : [];
}
