// The reference of the configuration files, made from their schemas.
import { z } from 'zod';
import { edgeProxyConfigSchema } from '../../edge-proxy/config.ts';
import { identityServerConfigSchema } from '../../identity-server/config.ts';
import { workloadAgentConfigSchema } from '../../workload-agent/config.ts';

const PROGRAMS = [
  ['identity-server', identityServerConfigSchema],
  ['workload-agent', workloadAgentConfigSchema],
  ['edge-proxy', edgeProxyConfigSchema],
] as const;

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Record<string, JsonSchema>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly const?: string | number | boolean;
  readonly anyOf?: readonly JsonSchema[];
}

/** JSON Schemas by program. */
export function configSchemas(): Map<string, JsonSchema> {
  return new Map(
    PROGRAMS.map(([name, schema]) => [
      name,
      z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema,
    ]),
  );
}

/** One table a program. */
export function configReference(): string {
  const sections = [...configSchemas()].map(([name, schema]) => {
    const rows = rowsOf(schema, '').map(
      ([key, type, fallback, description]) => `| \`${key}\` | ${type} | ${fallback} | ${description} |`,
    );
    return `## ${name}.yaml\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Configuration\n\n<!-- Generated from the schemas: npm run generate -->\n\nOne YAML file a program. Unknown keys are errors, and every problem is reported with its place:\n\`file:line:column: what is wrong and what is allowed\`. For completion in an editor, begin the file with\n\`# yaml-language-server: $schema=<path of the .schema.json beside this page>\`.\n\n${sections.join('\n')}`;
}

function rowsOf(schema: JsonSchema, prefix: string): [string, string, string, string][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const key = `${prefix}${name}`;
    const inner =
      property.type === 'array' && property.items?.properties !== undefined
        ? rowsOf(property.items, `${key}[].`)
        : [property, ...(property.anyOf ?? [])].flatMap((one) => rowsOf(one, `${key}.`));
    const required = schema.required?.includes(name) ?? false;
    const fallback =
      property.default === undefined
        ? required
          ? 'required'
          : ''
        : `\`${JSON.stringify(property.default)}\``;
    return [
      [
        key,
        typeOf(property),
        fallback,
        (property.description ?? '').replaceAll('|', '\\|').replaceAll('<', '&lt;'),
      ],
      ...inner,
    ];
  });
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${schema.items === undefined ? 'any' : typeOf(schema.items)}`;
  return schema.type ?? 'any';
}
