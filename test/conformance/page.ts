// docs/reference/conformance.md, from the verdicts. Pure.
import type { Requirement } from './requirements.ts';
import { markdownTable, totalsOf, type Verdict } from './table.ts';

type Vectors = readonly (readonly [title: string, ids: readonly string[]])[];

/** The whole page. It holds nothing that changes between two runs of the same code. */
export function pageOf(
  requirements: readonly Requirement[],
  vectors: Vectors,
  verdicts: ReadonlyMap<string, Verdict>,
): string {
  const of = (id: string) => verdicts.get(id)!;
  return `# Conformance

Made by \`npm run conformance\` from the tests in \`test/conformance/\`. The numbers follow the SPIFFE standards at revision
665a28f (July 2026). A requirement passes if every test that names it passes; one without a test fails; \`open\` names the
issue that builds it.

Roles: ISS issuer, VAL validator, SRV server of the Workload or Broker API, CLI its client, PUB bundle publisher, CON
bundle consumer, OPR operator.

Requirements: ${totalsOf(requirements.map(({ id }) => of(id)))}.

${markdownTable(
  ['id', 'level', 'roles', 'requirement', 'state', 'why'],
  requirements.map(({ id, level, roles, text }) => {
    const { status, reason } = of(id);
    return [id, level, roles.join(' '), text, status, reason];
  }),
)}

## Vectors

Documents and addresses that must be accepted, refused or ignored.

${markdownTable(
  ['vectors', 'pass', 'open or not applicable', 'fail'],
  vectors.map(([title, ids]) => {
    const all = ids.map(of);
    return [
      title,
      all
        .filter(({ status }) => status === 'pass')
        .map(({ id }) => id)
        .join(' '),
      listOf(all, 'open', 'not applicable'),
      listOf(all, 'fail'),
    ];
  }),
)}
`;
}

// Ids of one reason together: `K01 K02 (reason)`.
function listOf(verdicts: readonly Verdict[], ...statuses: readonly Verdict['status'][]): string {
  const groups = new Map<string, string[]>();
  for (const { id, status, reason } of verdicts) {
    if (statuses.includes(status)) groups.set(reason, [...(groups.get(reason) ?? []), id]);
  }
  return [...groups].map(([reason, ids]) => `${ids.join(' ')} (${reason})`).join('; ');
}
