// Templates for the paths of agents: text with fields in `{{ .Name }}`, a small part of Go's text/template. There are no
// functions, conditions or loops: what an agent is called should be seen at a glance.

/** Fields of a template, by name without the leading dot. */
export type TemplateFields = Readonly<Record<string, string | undefined>>;

type Part = { readonly text: string } | { readonly field: string };

/** A template that was read. */
export type PathTemplate = (fields: TemplateFields) => string;

/**
 * Reads a template, such as `{{ .PluginName }}/{{ .Fingerprint }}`.
 *
 * @throws Error if it has an action that is no field, or a field that is not among `known`.
 */
export function parsePathTemplate(template: string, known: readonly string[]): PathTemplate {
  const parts: Part[] = [];
  for (const [index, piece] of template.split(/\{\{(.*?)\}\}/s).entries()) {
    if (index % 2 === 0) {
      if (piece.includes('{{') || piece.includes('}}'))
        throw new Error(`${quoted(template)}: unbalanced braces`);
      parts.push({ text: piece });
      continue;
    }
    const field = /^\s*\.([A-Za-z]+(?:\.[A-Za-z]+)*)\s*$/.exec(piece)?.[1];
    if (field === undefined || !known.includes(field)) {
      throw new Error(
        `${quoted(template)}: {{${piece}}} is not known; the fields are ${known.map((name) => `.${name}`).join(', ')}`,
      );
    }
    parts.push({ field });
  }
  return (fields) =>
    parts
      .map((part) => {
        if ('text' in part) return part.text;
        const value = fields[part.field];
        if (value === undefined || value === '') throw new Error(`the certificate has no ${part.field}`);
        return value;
      })
      .join('');
}

function quoted(template: string): string {
  return JSON.stringify(template);
}
