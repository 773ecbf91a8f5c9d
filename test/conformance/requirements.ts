// Every requirement of the SPIFFE standards (spiffe/spiffe `standards/` at 665a28f) in a few words of our own: identities
// and documents. Those of the APIs are in api-requirements.ts.
import { API_REQUIREMENTS } from './api-requirements.ts';

/** Who a requirement binds. */
export type Role = 'ISS' | 'VAL' | 'SRV' | 'CLI' | 'PUB' | 'CON' | 'OPR' | 'all';

/** One row: what must hold, how strongly, and for whom. */
export interface Requirement {
  readonly id: string;
  readonly level: string;
  readonly roles: readonly Role[];
  readonly text: string;
}

/** A row as it is written down: id, level, roles with spaces between, text. */
export type Row = readonly [id: string, level: string, roles: string, text: string];

const DOCUMENTS: readonly Row[] = [
  ['STAB-01', 'REC', 'ISS SRV', 'what is Incubating (WIT, Broker) is off unless switched on'],

  ['ID-01', 'MUST', 'all', 'begins with spiffe://'],
  ['ID-02', 'MUST', 'all', 'trust domain not empty'],
  ['ID-03', 'MUST NOT', 'all', 'no query, no fragment, not even empty ones'],
  ['ID-04', 'MUST', 'all', 'no user information'],
  ['ID-05', 'MUST', 'all', 'no port, not even a lone colon'],
  ['ID-06', 'MUST', 'all', 'trust domain in lower case'],
  ['ID-07', 'MUST', 'all', 'trust domain of a-z 0-9 . - _ only'],
  ['ID-08', 'MUST NOT', 'all', 'no percent-encoding in the trust domain'],
  ['ID-09', 'MUST NOT', 'all', 'no special treatment of DNS-like or IP-like names'],
  ['ID-10', 'MUST NOT', 'all', 'no percent-encoding in the path'],
  ['ID-11', 'MUST NOT', 'all', 'no empty segment, none of . or ..'],
  ['ID-12', 'MUST NOT', 'all', 'no trailing slash'],
  ['ID-13', 'MUST', 'all', 'segments of a-z A-Z 0-9 . - _ only'],
  ['ID-14', 'MAY', 'all', 'no path: the ID of a trust domain'],
  ['ID-15', 'MUST', 'all', 'IDs of 2048 bytes work end to end'],
  ['ID-16', 'SHOULD NOT', 'ISS', 'no longer ID is ever issued'],
  ['ID-17', 'DERIVED', 'all', 'trust domain of at most 255 bytes'],
  ['ID-18', '2.4', 'all', 'paths compare case-sensitively'],
  ['ID-19', '2.4', 'VAL', 'one canonical form is compared, byte by byte'],
  ['ID-20', 'MAY', 'ISS', 'paths mean nothing to the standard: no prefix rule'],

  ['SVID-01', 'MUST', 'ISS', 'a trust domain has an authority with an SVID of its own'],
  ['SVID-02', 'SHOULD', 'ISS', "the authority's ID: own trust domain, no path"],
  ['SVID-03', 'MUST', 'ISS', 'ID and public key lie in the signed part'],
  ['SVID-04', 'MUST', 'VAL', 'only documents with a SPIFFE profile are SVIDs'],
  ['SVID-05', '3', 'VAL', "valid only by an authority of the ID's own trust domain"],
  ['SVID-06', 'MAY', 'ISS', 'an authority may be signed by a foreign one; the bundle decides'],
  ['SVID-07', '4.1', 'VAL', 'further data means what its own trust domain means by it'],

  ['X509-01', 'MUST', 'ISS', 'exactly one URI name, the SPIFFE ID'],
  ['X509-02', 'MUST', 'VAL', 'more than one URI name is refused'],
  ['X509-03', 'MUST', 'VAL', 'no URI name is refused'],
  ['X509-04', 'MAY', 'ISS', 'names of other kinds may stand beside'],
  ['X509-05', 'MUST', 'ISS', 'a leaf is issued only for an ID with a path'],
  ['X509-06', 'SHOULD', 'ISS', 'a signing certificate is an SVID; validators take one without'],
  ['X509-07', 'MUST NOT', 'ISS', 'the ID of a signing certificate has no path'],
  ['X509-08', 'SHOULD', 'ISS', 'and lies in the trust domain of its leaves'],
  ['X509-09', 'MAY', 'ISS', 'intermediates are accepted'],
  ['X509-10', 'MUST NOT', 'VAL CLI', 'signing certificates authenticate nobody'],
  ['X509-11', 'DERIVED', 'ISS', 'an empty subject makes the names critical'],
  ['X509-12', 'MUST', 'ISS', 'cA true on signing certificates, false and explicit on leaves'],
  ['X509-13', 'MAY', 'ISS', 'path length constraints are kept'],
  ['X509-14', 'MAY', 'ISS VAL', 'URI name constraints are kept'],
  ['X509-15', 'MUST', 'ISS', 'key usage present and critical'],
  ['X509-16', 'MUST', 'ISS', 'signing certificates: keyCertSign, cRLSign, nothing else'],
  ['X509-17', 'MUST', 'ISS', 'leaves: digitalSignature'],
  ['X509-18', 'MUST NOT', 'ISS', 'leaves: neither keyCertSign nor cRLSign'],
  ['X509-19', 'SHOULD', 'ISS', 'leaves: serverAuth and clientAuth together'],
  ['X509-20', 'MAY', 'ISS', 'extended usages of authorities are not nested'],
  ['X509-21', 'MUST', 'VAL', 'RFC 5280 path validation'],
  ['X509-22', 'MUST', 'VAL', 'a leaf with cA is refused'],
  ['X509-23', 'MUST', 'VAL', 'a leaf with keyCertSign or cRLSign is refused'],
  ['X509-24', 'MUST', 'VAL', 'the URI name is a SPIFFE ID, by the whole syntax'],
  ['X509-25', 'MUST', 'VAL', 'a leaf ID without a path is refused'],
  ['X509-26', 'MUST', 'VAL', "roots: the bundle of the leaf's trust domain alone"],
  ['X509-27', 'REC', 'VAL', 'no host name or subject checks'],
  ['X509-28', 'MUST', 'PUB', 'one JWK a CA certificate, use x509-svid'],
  ['X509-29', 'MUST NOT', 'PUB', 'no kid on these'],
  ['X509-30', 'MUST', 'PUB', 'x5c: exactly one certificate, standard base64'],
  ['X509-31', 'MUST', 'CON', 'an entry without x5c is ignored, the rest kept'],
  ['X509-32', 'MUST', 'CON', 'the first x5c value counts'],
  ['X509-33', '6.2', 'CON', 'no entries: every X509-SVID of it is refused'],

  ['JWT-01', 'MUST', 'ISS VAL', 'compact serialization only'],
  ['JWT-02', 'MUST NOT', 'ISS', 'no header but alg, kid, typ'],
  ['JWT-03', 'MUST', 'VAL', 'alg is one of nine, judged first'],
  ['JWT-04', 'REC', 'VAL', 'alg fits the key and its curve'],
  ['JWT-05', 'DERIVED', 'ISS VAL', 'RSA keys of at least 2048 bits'],
  ['JWT-06', 'MAY', 'ISS VAL', 'kid always issued, and not demanded'],
  ['JWT-07', 'MAY', 'ISS VAL', 'typ absent, JWT or JOSE'],
  ['JWT-08', 'MUST', 'ISS VAL', 'sub is the SPIFFE ID of a workload'],
  ['JWT-09', 'MUST', 'ISS', 'aud has at least one value'],
  ['JWT-10', 'MUST', 'VAL', "aud holds the validator's own audience, exactly"],
  ['JWT-11', 'REC', 'VAL', 'no audience configured: refuse to run'],
  ['JWT-12', 'MUST', 'ISS VAL', 'exp present and not past, small leeway'],
  ['JWT-13', 'MUST', 'VAL', 'signature verified, nbf honoured'],
  ['JWT-14', 'MAY', 'ISS', 'further claims pass through'],
  ['JWT-15', 'MUST', 'VAL', "the key is of the bundle of sub's trust domain, by kid"],
  ['JWT-16', 'DERIVED', 'VAL', 'unknown crit is refused'],
  ['JWT-17', 'SHOULD', 'CLI', 'travels as authorization: Bearer'],
  ['JWT-18', '7.1', 'VAL', 'jti need not be tracked'],
  ['JWT-19', 'MUST', 'PUB', 'one JWK a key, use jwt-svid, with kid'],
  ['JWT-20', 'MUST', 'CON', 'only jwt-svid entries verify'],
  ['JWT-21', 'advice', 'OPR', 'confidential transport, short life'],

  ['WIT-01', '1', 'ISS VAL', 'compact serialization only'],
  ['WIT-02', 'MUST', 'ISS VAL', 'kid present, case-sensitive'],
  ['WIT-03', 'MUST', 'ISS VAL', 'typ is wit+jwt, exactly'],
  ['WIT-04', 'MUST', 'ISS VAL', 'alg is one of the nine'],
  ['WIT-05', 'SHOULD', 'ISS VAL', 'unknown headers ignored, unless critical'],
  ['WIT-06', 'MUST', 'ISS VAL', 'sub is the SPIFFE ID of a workload'],
  ['WIT-07', 'MUST', 'ISS VAL', 'cnf.jwk is a public asymmetric key'],
  ['WIT-08', 'MUST', 'ISS VAL', 'cnf.jwk.alg is one of the nine'],
  ['WIT-09', 'REC', 'ISS VAL', 'cnf.jwk.alg fits the key'],
  ['WIT-10', 'MAY', 'ISS', 'jti, if set, does not collide'],
  ['WIT-11', 'MUST NOT', 'VAL', 'jti is no replay key'],
  ['WIT-12', 'MUST', 'ISS VAL', 'exp present and not past'],
  ['WIT-13', 'MAY', 'ISS VAL', 'nbf honoured'],
  ['WIT-14', 'MAY', 'VAL', 'the lifetime can be capped by policy'],
  ['WIT-15', 'MUST NOT', 'ISS VAL', 'iat bounds nothing'],
  ['WIT-16', 'SHOULD NOT', 'ISS', 'iss does not look like an OIDC issuer'],
  ['WIT-17', 'MUST NOT', 'ISS VAL', 'no aud'],
  ['WIT-18', 'SHOULD', 'ISS VAL', 'unknown claims are ignored'],
  ['WIT-19', 'MUST', 'ISS', 'alg, typ, kid, sub, exp, cnf always set'],
  ['WIT-20', 'MAY', 'ISS', 'instances of a workload may share a token'],
  ['WIT-21', 'MUST NOT', 'VAL', 'never accepted without proof of possession'],
  ['WIT-22', 'MUST', 'CLI', 'bound to a proof; never in Authorization'],
  ['WIT-23', 'SHOULD', 'CLI VAL', 'a WIMSE proof of possession'],
  ['WIT-24', 'MUST', 'CLI VAL', 'the proof has a bounded life'],
  ['WIT-25', 'MAY', 'VAL', 'the proof may be single-use'],
  ['WIT-26', 'MUST', 'CLI', 'token and proof over a secure channel'],
  ['WIT-27', 'MUST', 'PUB', 'use wit-svid; kid unique in the whole bundle'],
  ['WIT-28', 'MUST', 'CON', 'only wit-svid entries verify'],
  ['WIT-29', 'DERIVED', 'VAL', "the key is of the bundle of sub's trust domain, by kid"],

  ['TB-01', 'MUST', 'PUB CON', 'a bundle is a JWK Set'],
  ['TB-02', 'MAY', 'PUB CON', 'unknown top-level members are accepted'],
  ['TB-03', 'SHOULD', 'PUB', 'the sequence grows with every change'],
  ['TB-04', 'advice', 'CON', 'sequences of 64 bits survive'],
  ['TB-05', 'SHOULD', 'PUB', 'the hint is whole seconds'],
  ['TB-06', '4.1.2', 'CON', 'hints of zero, below and far above are clamped'],
  ['TB-07', 'MUST', 'PUB CON', 'keys is present, and may be empty'],
  ['TB-08', 'MUST', 'CON', 'an element of unknown kty is ignored'],
  ['TB-09', 'MUST', 'CON', 'an element of missing or unknown use is ignored'],
  ['TB-10', 'MUST', 'PUB CON', 'use is case-sensitive'],
  ['TB-11', 'MUST', 'CON VAL', 'no keys: everything is revoked'],
  ['TB-12', 'MUST', 'CON VAL', 'nothing usable: likewise'],
  ['TB-13', 'SHOULD NOT', 'PUB', 'no undocumented members, no private parts'],
  ['TB-14', '3', 'CON', 'the reader is told the trust domain'],
  ['TB-15', '3', 'VAL', "the bundle is chosen by the SVID's trust domain"],
  ['TB-16', 'advice', 'CON', 'without a hint, poll every five minutes'],
  ['TB-17', 'advice', 'OPR', 'a shared key still pins the trust domain'],

  ['BM-01', 'MUST', 'PUB CON', 'an object with trust_domains'],
  ['BM-02', 'MUST', 'PUB CON', 'names are unique; duplicates are refused'],
  ['BM-03', 'SHOULD', 'PUB CON', 'inner hints are neither written nor used'],
  ['BM-04', 'B.1', 'CON', 'taken over whole, as the whole state'],
  ['BM-05', 'DERIVED', 'CON', 'keyed by names, not by IDs'],
];

/** All requirements, in the order of the standards. */
export const REQUIREMENTS: readonly Requirement[] = [...DOCUMENTS, ...API_REQUIREMENTS].map(
  ([id, level, roles, text]) => ({ id, level, roles: roles.split(' ') as Role[], text }),
);

/** The accept and reject vectors, by letter and how many there are. Each must be named by a passing test too. */
export const VECTORS: readonly (readonly [title: string, ids: readonly string[]])[] = [
  ['SPIFFE ID strings', numbered('I', 24)],
  ['X.509 certificates', numbered('X', 35)],
  ['JWT-SVIDs', numbered('J', 28)],
  ['WIT-SVIDs', numbered('W', 28)],
  ['Bundles', numbered('B', 30)],
  ['Endpoint addresses', [...numbered('E', 10), 'E06b', 'E08b']],
  ['Federation', numbered('F', 19)],
  ['Broker', numbered('K', 19)],
  ['Contradictions in the text, as decided', numbered('C-', 20)],
];

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${String(index + 1).padStart(2, '0')}`);
}
