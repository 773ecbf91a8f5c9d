// What bad input gets: every malformed field of every RPC, with the status and the message, by field numbers.
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../test/support/protobuf.ts';
import { TRUST_DOMAIN } from './testing.ts';
import {
  failure,
  id,
  NOT_SPIFFE,
  Path,
  selector,
  spki,
  startWireBench,
  type WireBench,
} from './wire-testing.ts';

const AGENT = `${Path.agent}/`;
const BUNDLE = `${Path.bundle}/`;
const ENTRY = `${Path.entry}/`;
const SVID = `${Path.svid}/`;
const TRUST = `${Path.trustDomain}/`;
const AUTHORITY = `${Path.localAuthority}/`;
const uid = selector('unix', 'uid:1');
const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });

let bench: WireBench;
beforeAll(async () => {
  bench = await startWireBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

type Row = readonly [
  path: string,
  request: Message,
  expected: string | RegExp,
  from?: 'local' | 'agent' | 'below',
];

const answerTo = ([path, request, , from = 'local']: Row) => failure(bench[from].call(path, request));

describe('whole calls', () => {
  const agents: Row[] = [
    [`${AGENT}CreateJoinToken`, {}, 'INVALID_ARGUMENT: ttl is required, you must provide one'],
    [`${AGENT}CreateJoinToken`, { 1: -5 }, 'INVALID_ARGUMENT: ttl is required, you must provide one'],
    [`${AGENT}CreateJoinToken`, { 1: 5, 2: 'x'.repeat(1_025) }, /^INVALID_ARGUMENT: token is longer than/],
    [`${AGENT}CreateJoinToken`, { 1: 5, 3: id('/x', 'other.org') }, /^INVALID_ARGUMENT: invalid agent ID: /],
    [
      `${AGENT}CreateJoinToken`,
      { 1: 5, 3: id('/spire/agent/x') },
      /^INVALID_ARGUMENT: invalid agent ID: .*reserved/,
    ],
    ...['GetAgent', 'BanAgent', 'DeleteAgent'].flatMap((rpc): Row[] => [
      [AGENT + rpc, {}, /^INVALID_ARGUMENT: invalid agent ID: request must specify SPIFFE ID/],
      [
        AGENT + rpc,
        { 1: id('/web') },
        /^INVALID_ARGUMENT: invalid agent ID: .* is not an agent in trust domain/,
      ],
      [
        AGENT + rpc,
        { 1: id('/spire/agent/x', 'other.org') },
        /^INVALID_ARGUMENT: invalid agent ID: .* not a member/,
      ],
      [AGENT + rpc, { 1: id('/spire/agent/x/nobody') }, 'NOT_FOUND: agent not found'],
    ]),
    ...['ListAgents', 'CountAgents'].flatMap((rpc): Row[] => [
      [AGENT + rpc, { 1: { 2: {} } }, 'INVALID_ARGUMENT: malformed selectors filter: empty selector set'],
      [
        AGENT + rpc,
        { 1: { 2: { 1: { 2: 'v' } } } },
        /^INVALID_ARGUMENT: malformed selectors filter: missing selector type/,
      ],
      [
        AGENT + rpc,
        { 1: { 2: { 1: uid, 2: 9 } } },
        /^INVALID_ARGUMENT: malformed selectors filter: unsupported match/,
      ],
      [AGENT + rpc, { 1: { 5: 'tomorrow' } }, /^INVALID_ARGUMENT: malformed expires before filter: /],
    ]),
    [`${AGENT}ListAgents`, { 3: -1 }, /^INVALID_ARGUMENT: page_size/],
    [`${AGENT}ListAgents`, { 4: 'x' }, 'INVALID_ARGUMENT: could not parse page_token'],
    [`${AGENT}PostStatus`, { 2: 'x'.repeat(256) }, 'INVALID_ARGUMENT: agent version is too long', 'agent'],
    [`${AGENT}RenewAgent`, { 1: {} }, 'INVALID_ARGUMENT: missing CSR', 'agent'],
    [`${AGENT}RenewAgent`, {}, 'INVALID_ARGUMENT: params cannot be nil', 'agent'],
    [`${AGENT}RenewAgent`, { 1: { 1: Buffer.alloc(9) } }, /^INVALID_ARGUMENT: malformed CSR/, 'agent'],
    [
      `${AGENT}RenewAgent`,
      { 1: { 1: Buffer.alloc(1_000_000) } },
      /^INVALID_ARGUMENT: the CSR is larger/,
      'agent',
    ],
  ];
  const entries: Row[] = [
    [`${ENTRY}GetEntry`, {}, 'INVALID_ARGUMENT: missing ID'],
    [`${ENTRY}GetEntry`, { 1: 'nobody' }, 'NOT_FOUND: entry not found'],
    ...['ListEntries', 'CountEntries'].flatMap((rpc): Row[] => [
      [ENTRY + rpc, { 1: { 1: id('/x', '') } }, /^INVALID_ARGUMENT: malformed SPIFFE ID filter: /],
      [ENTRY + rpc, { 1: { 2: id('/x', 'other.org') } }, /^INVALID_ARGUMENT: malformed parent ID filter: /],
      [ENTRY + rpc, { 1: { 3: {} } }, 'INVALID_ARGUMENT: malformed selectors filter: empty selector set'],
      [
        ENTRY + rpc,
        { 1: { 3: { 1: { 1: 'a:b', 2: 'c' } } } },
        /^INVALID_ARGUMENT: malformed selectors filter: selector type/,
      ],
      [ENTRY + rpc, { 1: { 4: {} } }, /^INVALID_ARGUMENT: malformed federates with filter: /],
      [ENTRY + rpc, { 1: { 4: { 1: 'Not One' } } }, /^INVALID_ARGUMENT: malformed federates with filter: /],
    ]),
    [`${ENTRY}ListEntries`, { 3: -1 }, /^INVALID_ARGUMENT: page_size/],
    [`${ENTRY}ListEntries`, { 4: '-' }, 'INVALID_ARGUMENT: could not parse page_token'],
  ];
  const svids: Row[] = [
    [`${SVID}MintX509SVID`, {}, 'INVALID_ARGUMENT: missing CSR'],
    [`${SVID}MintX509SVID`, { 1: Buffer.alloc(50) }, /^INVALID_ARGUMENT: malformed CSR/],
    [`${SVID}MintJWTSVID`, { 1: id('/web') }, 'INVALID_ARGUMENT: at least one audience is required'],
    ...[undefined, ...NOT_SPIFFE, id('/spire'), id('/x', 'other.org')].map((bad): Row => [
      `${SVID}MintJWTSVID`,
      { 1: bad, 2: 'db' },
      /^INVALID_ARGUMENT: invalid SPIFFE ID: /,
    ]),
    [`${SVID}NewJWTSVID`, { 2: 'db' }, 'INVALID_ARGUMENT: missing entry ID', 'agent'],
    [`${SVID}NewJWTSVID`, { 1: 'x' }, 'INVALID_ARGUMENT: at least one audience is required', 'agent'],
    [`${SVID}NewJWTSVID`, { 1: 'x', 2: 'db' }, 'NOT_FOUND: entry not found or not authorized', 'agent'],
    [`${SVID}MintWITSVID`, { 1: id('/web'), 4: 'ES256' }, 'INVALID_ARGUMENT: missing public key'],
    [`${SVID}MintWITSVID`, { 1: id('/web'), 2: spki, 4: 'HS256' }, /^INVALID_ARGUMENT: signing algorithm/],
    [
      `${SVID}MintWITSVID`,
      { 1: id('/web'), 2: ed25519, 4: 'ES256' },
      /^INVALID_ARGUMENT: signing algorithm ES256/,
    ],
    [`${SVID}NewDownstreamX509CA`, {}, 'INVALID_ARGUMENT: missing CSR', 'below'],
    [`${SVID}NewDownstreamX509CA`, { 1: Buffer.alloc(9) }, /^INVALID_ARGUMENT: malformed CSR/, 'below'],
  ];
  const bundles: Row[] = [
    [`${BUNDLE}AppendBundle`, {}, 'INVALID_ARGUMENT: no authorities to append'],
    [
      `${BUNDLE}AppendBundle`,
      { 1: { 1: Buffer.alloc(5) } },
      /^INVALID_ARGUMENT: failed to convert X.509 authority: /,
    ],
    [
      `${BUNDLE}AppendBundle`,
      { 2: { 1: spki } },
      'INVALID_ARGUMENT: failed to convert JWT authority: missing key ID',
    ],
    [
      `${BUNDLE}AppendBundle`,
      { 2: { 2: 'k' } },
      'INVALID_ARGUMENT: failed to convert JWT authority: missing public key',
    ],
    [
      `${BUNDLE}AppendBundle`,
      { 2: { 1: ed25519, 2: 'k' } },
      /^INVALID_ARGUMENT: failed to convert JWT authority: no allowed/,
    ],
    [
      `${BUNDLE}AppendBundle`,
      { 4: { 1: spki } },
      'INVALID_ARGUMENT: failed to convert WIT authority: missing key ID',
    ],
    [`${BUNDLE}PublishJWTAuthority`, {}, 'INVALID_ARGUMENT: missing JWT authority', 'below'],
    [
      `${BUNDLE}PublishJWTAuthority`,
      { 1: { 1: spki } },
      'INVALID_ARGUMENT: invalid JWT authority: missing key ID',
      'below',
    ],
    [`${BUNDLE}GetFederatedBundle`, {}, /^INVALID_ARGUMENT: trust domain argument is not valid/],
    [
      `${BUNDLE}GetFederatedBundle`,
      { 1: TRUST_DOMAIN },
      /^INVALID_ARGUMENT: getting a federated bundle for the server's own/,
    ],
    [`${BUNDLE}GetFederatedBundle`, { 1: 'other.org' }, 'NOT_FOUND: bundle not found'],
    [`${BUNDLE}ListFederatedBundles`, { 3: 'A' }, 'INVALID_ARGUMENT: could not parse page_token'],
    [`${BUNDLE}BatchDeleteFederatedBundle`, { 1: 'a.org', 2: 7 }, /^INVALID_ARGUMENT: unhandled delete mode/],
    [`${TRUST}GetFederationRelationship`, {}, /^INVALID_ARGUMENT: trust domain is not valid/],
    [
      `${TRUST}GetFederationRelationship`,
      { 1: 'a.org' },
      'NOT_FOUND: federation relationship does not exist',
    ],
    [`${TRUST}RefreshBundle`, { 1: 'a.org' }, 'NOT_FOUND: no relationship with trust domain "a.org"'],
    [`${TRUST}RefreshBundle`, { 1: '' }, /^INVALID_ARGUMENT: trust domain is not valid/],
    [`${TRUST}ListFederationRelationships`, { 2: -1 }, /^INVALID_ARGUMENT: page_size/],
    ...['X509', 'JWT', 'WIT'].flatMap((kind): Row[] => [
      [`${AUTHORITY}Activate${kind}Authority`, {}, 'INVALID_ARGUMENT: no authority ID provided'],
      [`${AUTHORITY}Activate${kind}Authority`, { 1: 'x' }, 'INVALID_ARGUMENT: unexpected authority ID'],
      [`${AUTHORITY}Taint${kind}Authority`, {}, 'INVALID_ARGUMENT: no authority ID provided'],
      [`${AUTHORITY}Revoke${kind}Authority`, { 1: 'x' }, 'INVALID_ARGUMENT: unexpected authority ID'],
    ]),
  ];
  const rows = [...agents, ...entries, ...svids, ...bundles];

  test.each(rows.map((row) => [row[0].split('/').at(-1), row] as const))('%s', async (_, row) => {
    const [, , expected] = row;
    const answer = await answerTo(row);
    if (typeof expected === 'string') expect(answer).toBe(expected);
    else expect(answer).toMatch(expected);
  });
});
