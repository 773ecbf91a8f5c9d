// What the writer of the kill test writes under a number, so that whoever looks afterwards knows what must be there.
import { newEntry } from '../../identity-server/store/store-contract.ts';
import type { AuthorityState, NewEntry } from '../../identity-server/store/store.ts';
import { parseTrustDomain, spiffeIdOf } from '../../sdk/spiffe-id.ts';

export const TRUST_DOMAIN = parseTrustDomain('example.org');

/** A batch of one to forty entries: all of it is there, or nothing. */
export function entriesOf(number: number): NewEntry[] {
  return Array.from({ length: 1 + ((number * 7) % 40) }, (_, index) =>
    newEntry({
      id: `${number}-${index}`,
      spiffeId: spiffeIdOf(TRUST_DOMAIN, `/w/${number}/${index}`),
      hint: 'x'.repeat((number * 31) % 900),
    }),
  );
}

/** A journal and a bundle that belong together. */
export function journalOf(number: number): AuthorityState {
  const bytes = new TextEncoder().encode(`authority ${number}`);
  return {
    records: [
      {
        id: `authority-${number}`,
        kind: 'jwt',
        server: '',
        slot: number % 2 === 0 ? 'A' : 'B',
        status: 'active',
        issuedAt: number,
        notAfter: number + 1,
        material: bytes,
      },
    ],
    bundle: {
      trustDomain: TRUST_DOMAIN,
      x509Authorities: [],
      jwtAuthorities: [
        { id: `authority-${number}`, publicKey: bytes, expiresAt: number + 1, tainted: false },
      ],
      witAuthorities: [],
      refreshHint: 0,
      sequence: BigInt(number),
    },
  };
}
