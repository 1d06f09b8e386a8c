/** The reference page of our kinds, made from the schemas of their CRDs: what is printed is what the API server holds to. */
import { table } from './reference.ts';

/** As much of OpenAPI v3 as our CRDs use. */
export interface CrdSchema {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, CrdSchema>>;
  readonly items?: CrdSchema;
  readonly additionalProperties?: CrdSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly 'x-kubernetes-validations'?: readonly { readonly message?: string }[];
}

export interface Crd {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: CrdSchema };
      readonly additionalPrinterColumns?: readonly { readonly name: string }[];
    }[];
  };
}

/** @param kinds with what opens their files: the comment that says what the kind is. */
export function crdPage(
  kinds: readonly { readonly crd: Crd; readonly says: string }[],
  note: string,
): string {
  const parts = kinds.map(({ crd, says }) => kindPart(crd, says));
  return `# Kinds

${note}
The kinds of local mode, as \`kubectl apply -k manifests/crds\` installs them. The API server refuses what does not fit, with the message that stands here. What is written under \`status\` is not for people to write.

${parts.join('\n')}`;
}

function kindPart({ spec }: Crd, says: string): string {
  const { kind, plural } = spec.names;
  const versions = spec.versions.map(({ name, schema, additionalPrinterColumns = [] }) => {
    const columns = additionalPrinterColumns.map((column) => column.name).join(', ');
    const { properties = {}, required } = schema.openAPIV3Schema;
    const of = (part: string): string => {
      const found = properties[part];
      if (found === undefined) return '';
      const rows = rowsOf(part, found, required?.includes(part) === true).slice(1);
      return `### ${part} of ${kind}\n\n${table(['field', 'value', 'default', 'what it is'], rows)}`;
    };
    return `\`apiVersion: ${spec.group}/${name}\`, ${spec.scope === 'Cluster' ? 'of the whole cluster' : 'in a namespace'}. \`kubectl get ${plural}\` shows: ${columns}.

${of('spec')}
${of('status')}`;
  });
  return `## ${kind}\n\n${says}\n\n${versions.join('\n')}`;
}

function rowsOf(path: string, schema: CrdSchema, needed: boolean): readonly (readonly string[])[] {
  const { items, properties = {}, required = [], additionalProperties } = schema;
  const rules = [
    ...(schema['x-kubernetes-validations'] ?? []),
    ...(items?.['x-kubernetes-validations'] ?? []),
  ];
  const says = [
    schema.description ?? '',
    ...(needed ? ['Needed.'] : []),
    ...rules.map(({ message = '' }) => `${message.charAt(0).toUpperCase()}${message.slice(1)}.`),
  ];
  const standard = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;
  const inner = items?.properties ?? properties;
  const innerNeeds = items?.required ?? required;
  const below = items?.properties === undefined ? path : `${path}[]`;
  return [
    [`\`${path}\``, valueOf(schema), standard, says.filter((part) => part !== '').join(' ')],
    ...Object.entries(inner).flatMap(([name, one]) =>
      rowsOf(`${below}.${name}`, one, innerNeeds.includes(name)),
    ),
    ...(additionalProperties?.properties === undefined
      ? []
      : rowsOf(`${path}.*`, additionalProperties, false)),
  ];
}

function valueOf(schema: CrdSchema): string {
  const { type = 'object', items, additionalProperties } = schema;
  if (schema.enum !== undefined) return schema.enum.join(', ');
  if (schema.format === 'date-time') return 'a time (RFC 3339)';
  if (type === 'array') {
    const most = schema.maxItems === undefined ? '' : `, ${schema.minItems ?? 0} to ${schema.maxItems}`;
    return `list of ${items === undefined ? 'values' : valueOf(items)}${most}`;
  }
  if (additionalProperties !== undefined) return `names and ${valueOf(additionalProperties)}`;
  if (type === 'string')
    return schema.maxLength === undefined ? 'text' : `text, to ${schema.maxLength} characters`;
  if (type === 'integer')
    return schema.minimum === undefined ? 'whole number' : `whole number from ${schema.minimum}`;
  return type;
}
