import { createHash, createPublicKey, generateKeyPairSync, verify as cryptoVerify } from 'node:crypto';
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { base64urlOf } from '../json/base64.ts';
import { signWith, type JwsAlgorithm } from '../jwt-svid/algorithm.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import type { HeldWitSvid } from './held-wit-svid.ts';
import { httpSignature, isHttpSignature } from './http-signature/algorithm.ts';
import { contentDigestOf, expectContentDigest } from './http-signature/content-digest.ts';
import { httpSignatureProof, SIGNATURE, SIGNATURE_INPUT } from './http-signature/proof.ts';
import { signatureBaseOf } from './http-signature/signature-base.ts';
import { innerListText, parseDictionary } from './http-signature/structured-fields.ts';
import { FieldMap, type ProofOfPossession, type WitRequest } from './proof-of-possession.ts';
import { createReplayGuard } from './replay-guard.ts';
import { WPT_FIELD, wptProof } from './wpt.ts';

const NOW = Date.UTC(2026, 0, 1);
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const held: HeldWitSvid = {
  id: parseSpiffeId('spiffe://example.org/web'),
  confirmationKey: pair.publicKey,
  confirmationAlgorithm: 'ES256',
  privateKey: pair.privateKey,
  claims: {},
  token: 'wit',
  expiresAt: NOW + 1_000,
  hint: '',
};
const body = new TextEncoder().encode('{"amount":1}');
const request: WitRequest = {
  method: 'POST',
  url: 'https://orders.example.org/charge?id=1',
  headers: [
    ['Workload-Identity-Token', 'wit'],
    ['Content-Type', 'application/json'],
    ['Authorization', 'Bearer access'],
    ['Txn-Token', 'txn'],
  ],
  body,
};

async function prove(
  proof: ProofOfPossession,
  over: Partial<WitRequest> = {},
  by = held,
): Promise<WitRequest> {
  const signed = { ...request, ...over };
  const lines = await proof.prove(signed, new FieldMap(signed.headers), by, NOW);
  return { ...signed, headers: [...signed.headers, ...lines] };
}
const check = (proof: ProofOfPossession, signed: WitRequest, wit = held, now = NOW) =>
  proof.verify(signed, new FieldMap(signed.headers), wit, now);
const without = (signed: WitRequest, name: string): WitRequest => ({
  ...signed,
  headers: [...signed.headers].filter(([field]) => field.toLowerCase() !== name),
});
const replaced = (signed: WitRequest, name: string, change: (value: string) => string): WitRequest => ({
  ...signed,
  headers: [...signed.headers].map(
    ([field, value]) => [field, field.toLowerCase() === name ? change(value) : value] as const,
  ),
});

/** What an attacker may change, and what neither kind of proof may let pass. */
const tampering: [string, (signed: WitRequest) => WitRequest][] = [
  ['another host', (signed) => ({ ...signed, url: signed.url.replace('orders', 'payments') })],
  ['another path', (signed) => ({ ...signed, url: signed.url.replace('/charge', '/refund') })],
  ['another access token', (signed) => replaced(signed, 'authorization', () => 'Bearer other')],
  ['no access token', (signed) => without(signed, 'authorization')],
  ['another transaction token', (signed) => replaced(signed, 'txn-token', () => 'other')],
  [
    'two access tokens',
    (signed) => ({ ...signed, headers: [...signed.headers, ['Authorization', 'Bearer access']] }),
  ],
];

describe.each([
  ['WPT', () => wptProof()],
  ['HTTP message signatures', () => httpSignatureProof()],
] as [string, () => ProofOfPossession][])('%s', (_, create) => {
  it('holds for the request it was made for', async () => {
    check(create(), await prove(create()));
  });

  it.each(tampering)('does not hold for %s', async (_what, tamper) => {
    const signed = tamper(await prove(create()));
    expect(() => check(create(), signed)).toThrow(expect.objectContaining({ code: 'ERR_SVID_PROOF' }));
  });

  it('does not hold for another algorithm than that of the token', async () => {
    const signed = await prove(create());
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const wit = { ...held, confirmationKey: rsa.publicKey, confirmationAlgorithm: 'RS256' as const };
    expect(() => check(create(), signed, wit)).toThrow(SpiffeError);
  });

  it('fields of any content fail with SpiffeError and nothing else', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'wimse=()',
        'wimse=("@method");created=1',
        'wimse=:AAAA:',
        'a.b.c',
        `${base64urlOf('{"alg":"ES256"}')}.e30.AA`,
      ),
    );
    const names = [WPT_FIELD, SIGNATURE, SIGNATURE_INPUT, 'content-digest', 'authorization'];
    const proof = create();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 6 }),
        fc.string(),
        (headers, url) => {
          expect(() => check(proof, { ...request, url, headers })).toThrow(SpiffeError);
        },
      ),
      { numRuns: 1_500 },
    );
  });
});

describe('workload proof tokens (draft-ietf-wimse-wpt-01)', () => {
  async function forge(
    claims: Record<string, unknown>,
    header: Record<string, unknown> = {},
  ): Promise<WitRequest> {
    const hash = (text: string) => createHash('sha256').update(text).digest('base64url');
    const good = {
      aud: 'https://orders.example.org/charge',
      exp: NOW / 1_000 + 60,
      jti: 'j',
      wth: hash('wit'),
      ath: hash('access'),
      tth: hash('txn'),
    };
    const parts = [
      { alg: 'ES256', typ: 'wpt+jwt', ...header },
      { ...good, ...claims },
    ];
    const input = parts.map((part) => base64urlOf(JSON.stringify(part))).join('.');
    const signature = signWith('ES256', new TextEncoder().encode(input), pair.privateKey);
    return { ...request, headers: [...request.headers, [WPT_FIELD, `${input}.${base64urlOf(signature)}`]] };
  }
  const hash = (text: string) => createHash('sha256').update(text).digest('base64url');

  it('accepts one target, as text or as the only one of a list, and aliases', async () => {
    check(wptProof(), await forge({}));
    check(wptProof(), await forge({ aud: ['https://orders.example.org/charge'] }));
    check(wptProof({ aliases: ['https://orders/charge'] }), await forge({ aud: 'https://orders/charge' }));
    check(wptProof(), await forge({ oth: { 'content-type': hash('application/json') } }));
  });

  it.each([
    ['no audience', { aud: undefined }],
    ['the query in the audience', { aud: request.url }],
    ['two audiences', { aud: ['https://orders.example.org/charge', 'https://other/'] }],
    ['no expiry', { exp: undefined }],
    ['an expiry as text', { exp: '9999999999' }],
    ['an expiry far away', { exp: 9_999_999_999 }],
    ['no identifier', { jti: undefined }],
    ['no hash of the token', { wth: undefined }],
    ['the hash of another token', { wth: hash('other') }],
    ['no hash of the access token', { ath: undefined }],
    ['a token that is not there', { oth: { 'x-token': hash('') } }],
    ['an unknown entry', { oth: { a: 7 } }],
    ['oth as text', { oth: 'x' }],
  ] as [string, Record<string, unknown>][])('refuses %s', async (_, claims) => {
    const signed = await forge(claims);
    expect(() => check(wptProof(), signed)).toThrow(expect.objectContaining({ code: 'ERR_SVID_PROOF' }));
  });

  it.each([{ typ: 'JWT' }, { typ: undefined }, { alg: 'none' }, { alg: 'ES384' }, { crit: ['x'] }])(
    'refuses the header %j',
    async (header) => {
      const signed = await forge({}, header);
      expect(() => check(wptProof(), signed)).toThrow(expect.objectContaining({ code: 'ERR_SVID_PROOF' }));
    },
  );

  it('refuses two proofs', async () => {
    const signed = await prove(wptProof());
    const twice = { ...signed, headers: [...signed.headers, ...signed.headers] };
    expect(() => check(wptProof(), twice)).toThrow(SpiffeError);
  });
});

describe('HTTP message signatures (RFC 9421)', () => {
  it('the vector of RFC 9421 B.2.6 (ed25519)', () => {
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs' },
      format: 'jwk',
    });
    const vector: WitRequest = {
      method: 'POST',
      url: 'https://example.com/foo?param=Value&Pet=dog',
      headers: [
        ['Host', 'example.com'],
        ['Date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
        ['Content-Type', 'application/json'],
        ['Content-Length', '18'],
        [
          'Signature-Input',
          'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
        ],
        [
          'Signature',
          'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
        ],
      ],
    };
    const fields = new FieldMap(vector.headers);
    const input = parseDictionary(fields.only('signature-input')!).get('sig-b26')!;
    const signature = parseDictionary(fields.only('signature')!).get('sig-b26')!;
    if (!('items' in input) || !('value' in signature)) throw new Error('the vector has another shape');
    const base = signatureBaseOf(vector, fields, input.items, input.parameters);
    expect(new TextDecoder().decode(base)).toContain('"@path": /foo\n"@authority": example.com\n');
    expect(isHttpSignature('ed25519', base, key, signature.value as Uint8Array)).toBe(true);
    expect(isHttpSignature('ed25519', base.subarray(1), key, signature.value as Uint8Array)).toBe(false);
    expect(isHttpSignature('ecdsa-p256-sha256', base, key, signature.value as Uint8Array)).toBe(false);
  });

  it('derived components (RFC 9421 2.2)', () => {
    const names = ['@method', '@target-uri', '@authority', '@scheme', '@request-target', '@path', '@query'];
    const valuesOf = (url: string) => {
      const components = names.map((value) => ({ value, parameters: new Map() }));
      const base = signatureBaseOf(
        { method: 'GET', url, headers: [] },
        new FieldMap([]),
        components,
        new Map(),
      );
      return new TextDecoder()
        .decode(base)
        .split('\n')
        .slice(0, -1)
        .map((line) => line.slice(line.indexOf(': ') + 2));
    };
    expect(valuesOf('HTTPS://Example.org:443/a%20b/?q=1#f')).toEqual([
      'GET',
      'HTTPS://Example.org:443/a%20b/?q=1#f',
      'example.org',
      'https',
      '/a%20b/?q=1',
      '/a%20b/',
      '?q=1',
    ]);
    expect(valuesOf('http://a:8080')).toEqual(['GET', 'http://a:8080', 'a:8080', 'http', '/', '/', '?']);
  });

  it.each([
    ['ecdsa-p256-sha256', 'ES256', pair],
    ['rsa-pss-sha512', 'PS512', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ed25519', undefined, generateKeyPairSync('ed25519')],
  ] as const)('%s signs and verifies', (name, jose, keys) => {
    const signature = httpSignature(name, body, keys.privateKey);
    expect(isHttpSignature(name, body, keys.publicKey, signature)).toBe(true);
    if (jose !== undefined)
      expect(isHttpSignature(jose as JwsAlgorithm, body, keys.publicKey, signature)).toBe(true);
    else expect(cryptoVerify(null, body, keys.publicKey, signature)).toBe(true);
    expect(() => httpSignature(name === 'ed25519' ? 'ES256' : 'ed25519', body, keys.privateKey)).toThrow(
      TypeError,
    );
  });

  it('the body is bound: another body, none, or an unsigned digest are refused', async () => {
    const signed = await prove(httpSignatureProof());
    for (const bad of [
      { ...signed, body: new TextEncoder().encode('{"amount":9}') },
      { ...signed, body: undefined },
      without(signed, 'content-digest'),
      replaced(signed, 'content-digest', (value) => value.replace('sha-256', 'md5')),
      { ...without(signed, 'content-digest'), body: undefined },
    ]) {
      expect(() => check(httpSignatureProof(), bad)).toThrow(SpiffeError);
    }
    const bare = await prove(httpSignatureProof(), { body: undefined });
    check(httpSignatureProof(), bare);
    expect(() => check(httpSignatureProof(), { ...bare, body })).toThrow(/content-digest/);
  });

  it('refuses what the profile forbids', async () => {
    const signed = await prove(httpSignatureProof());
    const input = (change: (value: string) => string) => replaced(signed, SIGNATURE_INPUT, change);
    for (const bad of [
      input((value) => `${value};keyid="x"`),
      input((value) => `${value};alg="ecdsa-p256-sha256"`),
      input((value) => value.replace('wimse-workload-to-workload', 'other')),
      input((value) => value.replace(/;nonce="[^"]*"/, '')),
      input((value) => value.replace(/;created=\d+/, '')),
      input((value) => value.replace(/;expires=\d+/, '')),
      input((value) => value.replace('"@method" ', '')),
      input((value) => value.replace('"@request-target" ', '')),
      input((value) => value.replace('"@authority" ', '')),
      input((value) => value.replace('"workload-identity-token"', '')),
      input((value) => value.replace('"@method"', '"@method";req')),
      input((value) => value.replace('"@method"', '"@method" "@method"')),
      input((value) => value.replace('wimse=', 'other=')),
      { ...signed, method: 'PUT' },
      { ...signed, url: signed.url.replace('id=1', 'id=2') },
      without(signed, SIGNATURE),
      without(signed, SIGNATURE_INPUT),
    ]) {
      expect(() => check(httpSignatureProof(), bad)).toThrow(
        expect.objectContaining({ code: 'ERR_SVID_PROOF' }),
      );
    }
  });

  it('a signature over what the draft lists and no more is accepted only where that is allowed', async () => {
    const components = ['@method', '@request-target', 'workload-identity-token'].map((value) => ({
      value,
      parameters: new Map(),
    }));
    const parameters = new Map<string, string | number>([
      ['created', NOW / 1_000],
      ['expires', NOW / 1_000 + 60],
      ['nonce', 'n'],
      ['tag', 'wimse-workload-to-workload'],
    ]);
    const plain: WitRequest = {
      method: 'GET',
      url: request.url,
      headers: [['workload-identity-token', 'wit']],
    };
    const base = signatureBaseOf(plain, new FieldMap(plain.headers), components, parameters);
    const signature = Buffer.from(signWith('ES256', base, pair.privateKey)).toString('base64');
    const signed: WitRequest = {
      ...plain,
      headers: [
        ...plain.headers,
        [SIGNATURE_INPUT, `wimse=${innerListText(components, parameters)}, other=("date");created=1`],
        [SIGNATURE, `wimse=:${signature}:, other=:AAAA:`],
      ],
    };
    expect(() => check(httpSignatureProof(), signed)).toThrow(/@authority/);
    check(httpSignatureProof({ authority: 'optional' }), signed);
  });

  it('content digests (RFC 9530)', () => {
    expectContentDigest(contentDigestOf(body), body);
    expectContentDigest(`${contentDigestOf(body)}, md5=:AAAA:`, body);
    for (const bad of [
      '',
      'md5=:AAAA:',
      'sha-256=:AAAA:',
      'sha-256="x"',
      'sha-256',
      `${contentDigestOf(body)}, sha-512=:AAAA:`,
    ]) {
      expect(() => expectContentDigest(bad, body)).toThrow(SpiffeError);
    }
  });
});

describe('structured fields (RFC 9651)', () => {
  it.each(['a', 'a=1', 'a=-7, b="x\\"y\\\\"', 'a=("x" "y";k=?0);p=tok/en;q=:AAAA:', 'a=()', '*k=?1,  b=()'])(
    'reads %j',
    (text) => {
      expect(parseDictionary(text).size).toBeGreaterThan(0);
    },
  );

  it.each([
    '',
    'A=1',
    'a=1.5',
    'a=1,',
    ',a',
    'a=1 b=2',
    'a="x',
    'a=(',
    'a=("x"',
    'a=("x""y")',
    'a=:A:',
    'a=?2',
    'a=1, a=2',
    'a=é',
    'a=1234567890123456',
    'a;p=1;p=2',
  ])('refuses %j', (text) => {
    expect(() => parseDictionary(text)).toThrow(SpiffeError);
  });

  it('takes linear time', () => {
    const started = performance.now();
    for (const text of [
      '('.repeat(1e6),
      `a="${'\\'.repeat(16_000)}`,
      `a=:${'A'.repeat(16_000)}`,
      `a${' '.repeat(16_000)}x`,
    ]) {
      expect(() => parseDictionary(text)).toThrow(SpiffeError);
    }
    expect(() => new FieldMap([['a', `x${' '.repeat(1e6)}y`]])).not.toThrow();
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('replay guard', () => {
  it('remembers until the end, and no more than its bound', () => {
    const guard = createReplayGuard(2);
    expect([
      guard.isFirstUse('a', 10, 0),
      guard.isFirstUse('a', 10, 5),
      guard.isFirstUse('a', 20, 10),
    ]).toEqual([true, false, true]);
    for (const proof of ['b', 'c']) guard.isFirstUse(proof, 100, 11);
    expect([guard.isFirstUse('c', 100, 12), guard.isFirstUse('a', 100, 12)]).toEqual([false, true]);
  });
});
