// The rows that no test of the library can pass: what does not apply, with the reason, and what a later issue builds.

const BUNDLE_ENDPOINT = '#4 the identity server in full (bundle endpoint and key rotation)';
const AGENT = '#5 the workload agent in full';
const AGENT_BROKER = '#5 the workload agent in full (Broker API, flag-gated)';

/** Rows that bind nothing here, by id, with the reason. */
export const NOT_APPLICABLE: ReadonlyMap<string, string> = new Map([]);

/** Rows of programs, by id, with the issue that builds and tests them. */
export const OPEN: ReadonlyMap<string, string> = new Map([
  ...rows(
    BUNDLE_ENDPOINT,
    'FED-01 FED-02 FED-03 FED-04 FED-11 FED-16 FED-17 FED-18 FED-19 FED-20 FED-21 FED-28 F18 F19',
  ),
  ...rows(AGENT, 'STAB-01'),
  ...rows(
    AGENT,
    'WE-01 WE-02 WE-03 WE-05 WE-07 WE-10 WE-11 WE-12 WE-13 WE-15 WE-16 WE-17 WAPI-01 WAPI-02 WAPI-04 WAPI-05 WAPI-06',
  ),
  ...rows(
    AGENT,
    'WAPI-09 WAPI-20 WAPI-21 WAPI-22 WAPI-23 WAPI-25 WAPI-28 WAPI-29 WAPI-40 WAPI-41 WAPI-42 WAPI-43 WAPI-44 WAPI-45',
  ),
  ...rows(
    AGENT,
    'WAPI-46 WAPI-47 WAPI-48 WAPI-49 WAPI-60 WAPI-62 WAPI-63 WAPI-64 WAPI-65 WAPI-66 WAPI-80 WAPI-81',
  ),
  ...rows(AGENT, 'J28 C-20'),
  ...numbered(AGENT_BROKER, 'BRKE-', 12),
  ...numbered(AGENT_BROKER, 'BRK-', 31),
  ...numbered(AGENT_BROKER, 'K', 19),
  ...rows(AGENT_BROKER, 'C-14 C-15 C-16'),
]);

function rows(reason: string, ids: string): [id: string, reason: string][] {
  return ids.split(' ').map((id) => [id, reason]);
}

function numbered(reason: string, letters: string, count: number): [id: string, reason: string][] {
  return Array.from({ length: count }, (_, index) => [
    `${letters}${String(index + 1).padStart(2, '0')}`,
    reason,
  ]);
}
