// JWT-SVIDs (JWT-SVID.md), by requirement and by vector. The validator's audience is "a".
import { Buffer } from 'node:buffer';
import { sign, type KeyObject } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseSpiffeBundle } from '../../sdk/bundle/parse-bundle.ts';
import { jwtBundleSet, parseJwtBundle, type JwtBundleSource } from '../../sdk/bundle/jwt-bundle.ts';
import { spiffeBundleSet } from '../../sdk/bundle/spiffe-bundle.ts';
import type { SpiffeErrorCode } from '../../sdk/error.ts';
import { base64urlOf } from '../../sdk/json/base64.ts';
import type { JwsAlgorithm } from '../../sdk/jwt-svid/algorithm.ts';
import { AUTHORIZATION, authorizationOf, bearerTokenOf } from '../../sdk/jwt-svid/authorization.ts';
import { createJwtSvidIssuer, type JwtSvidRequest } from '../../sdk/jwt-svid/issue.ts';
import { localSigner } from '../../sdk/jwt-svid/signer.ts';
import { validateJwtSvid } from '../../sdk/jwt-svid/validate.ts';
import { parseSpiffeId } from '../../sdk/spiffe-id.ts';
import { document, jwtElement } from './bundle-vectors.ts';
import { ec, EXAMPLE, forge, NOW, NOW_SECONDS, OTHER, rsa, type Forgery } from './token-vectors.ts';

const k1 = ec();
const bundleOf = (keys: Record<string, KeyObject>, trustDomain = EXAMPLE) => ({
  trustDomain,
  jwtAuthorities: new Map(Object.entries(keys)),
});
const bundles = jwtBundleSet([bundleOf({ k1: k1.publicKey })]);
const id = parseSpiffeId('spiffe://example.org/web');

interface Vector extends Omit<Forgery, 'header' | 'payload'> {
  readonly header?: Record<string, unknown>;
  readonly payload?: Record<string, unknown>;
}

/** The good token, with the members given changed; undefined takes one away. */
function token({ header, payload, ...rest }: Vector = {}): string {
  return forge({
    key: k1.privateKey,
    ...rest,
    header: { alg: 'ES256', kid: 'k1', typ: 'JWT', ...header },
    payload: { sub: id, aud: ['a'], exp: NOW_SECONDS + 300, ...payload },
  });
}

const validate = (text: string, source: JwtBundleSource = bundles) =>
  validateJwtSvid(text, source, { audience: 'a', now: NOW });
const accepts = (vector: Vector, source?: JwtBundleSource) =>
  expect(validate(token(vector), source).id).toBe(id);
function refuses(
  text: string | Vector,
  code: SpiffeErrorCode = 'ERR_SVID_NOT_AN_SVID',
  source?: JwtBundleSource,
) {
  const compact = typeof text === 'string' ? text : token(text);
  expect(() => validate(compact, source)).toThrow(expect.objectContaining({ name: 'SpiffeError', code }));
}

const issuer = createJwtSvidIssuer(localSigner('k1', k1.privateKey));
const issue = (over: Partial<JwtSvidRequest> = {}) =>
  issuer({ id, audience: ['a'], expiresAt: NOW + 300_000, issuedAt: NOW, ...over });
const claimsOf = (text: string) =>
  JSON.parse(Buffer.from(text.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;

describe('requirements', () => {
  it('JWT-01: only JWS Compact Serialization', () => {
    const [header, payload, signature] = token().split('.');
    refuses(JSON.stringify({ protected: header, payload, signature }));
    refuses(JSON.stringify({ payload, signatures: [{ protected: header, signature }] }));
    refuses(`${header}.a.b.c.${signature}`);
    refuses('');
    refuses('..');
  });
  it('JWT-02: a minted token has the headers alg, kid and typ and no other', async () => {
    expect(decodeProtectedHeader(await issue())).toEqual({ alg: 'ES256', kid: 'k1', typ: 'JWT' });
  });
  it('JWT-03: alg is one of the nine, exactly, and is judged before anything else', () => {
    for (const alg of [
      'none',
      'HS256',
      'EdDSA',
      'es256',
      'ES256K',
      'constructor',
      '',
      null,
      7,
      undefined,
      ['ES256'],
    ]) {
      expect(() => validate(forge({ header: { alg, typ: 7, crit: ['x'] }, payload: 'no JSON' }))).toThrow(
        /\(alg\)/,
      );
    }
  });
  it('JWT-04: alg fits the type and the curve of the key', () => {
    refuses({ header: { alg: 'ES384' } }, 'ERR_SVID_UNTRUSTED');
    refuses({ header: { alg: 'RS256' } }, 'ERR_SVID_UNTRUSTED');
    expect(() => localSigner('k', k1.privateKey, 'ES384')).toThrow(TypeError);
    expect(() => localSigner('k', k1.publicKey)).toThrow(TypeError);
  });
  it('JWT-05: RSA keys have at least 2048 bits', () => {
    const small = rsa(1024);
    const skipped: string[] = [];
    const text = document([jwtElement('k1', {}, small.publicKey)]);
    parseSpiffeBundle(EXAMPLE, text, { onSkipped: ({ reason }) => skipped.push(reason) });
    expect(skipped).toEqual([expect.stringContaining('1024 bits')]);
    expect(() => localSigner('k1', small.privateKey)).toThrow(TypeError);
  });
  it('JWT-06: every minted token has a kid; a validator copes without', async () => {
    expect(decodeProtectedHeader(await issue()).kid).toBe('k1');
    expect(() => createJwtSvidIssuer(localSigner('', k1.privateKey))).toThrow(TypeError);
    accepts({ header: { kid: undefined } });
  });
  it('JWT-07: typ is absent, JWT or JOSE, exactly', () => {
    for (const typ of [undefined, 'JWT', 'JOSE']) accepts({ header: { typ } });
    for (const typ of ['jwt', '', 'wit+jwt', 7, null, 'application/JWT']) refuses({ header: { typ } });
  });
  it('JWT-08: sub is the SPIFFE ID of a workload', async () => {
    for (const sub of [undefined, null, 'web', 7, [id], 'spiffe://example.org', `${id}/`])
      refuses({ payload: { sub } });
    await expect(issue({ id: parseSpiffeId('spiffe://example.org') })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_ID',
    });
    expect(claimsOf(await issue())['sub']).toBe(id);
  });
  it('JWT-09: no token is minted with an empty audience', async () => {
    for (const audience of [[], [''], ['a', '']]) {
      await expect(issue({ audience })).rejects.toMatchObject({ code: 'ERR_SVID_AUDIENCE' });
    }
  });
  it('JWT-10: aud holds the audience of the validator, exactly', () => {
    for (const aud of ['a', ['x', 'a']]) accepts({ payload: { aud } });
    for (const aud of [['A'], 'A', ['aa'], [' a'], 'x']) refuses({ payload: { aud } }, 'ERR_SVID_AUDIENCE');
    for (const aud of [undefined, null, [], '', [''], {}, ['a', 7]]) refuses({ payload: { aud } });
  });
  it('JWT-11: a validator without an audience of its own refuses to run', () => {
    for (const audience of [undefined, [], '', [''], ['a', '']]) {
      const options = { audience: audience as string, now: NOW };
      expect(() => validateJwtSvid(token(), bundles, options)).toThrow(TypeError);
    }
    expect(() => validateJwtSvid(token(), bundles, undefined as never)).toThrow(TypeError);
    expect(validateJwtSvid(token(), bundles, { audience: ['b', 'a'], now: NOW }).id).toBe(id);
  });
  it('JWT-12: exp is there and has not passed, with 60 s of leeway', async () => {
    for (const exp of [undefined, null, '1', [1], true]) refuses({ payload: { exp } });
    accepts({ payload: { exp: NOW_SECONDS - 30 } });
    for (const exp of [NOW_SECONDS - 60, NOW_SECONDS - 62]) refuses({ payload: { exp } }, 'ERR_SVID_EXPIRED');
    expect(claimsOf(await issue())['exp']).toBe(NOW_SECONDS + 300);
    const strict = { audience: 'a', now: NOW, leeway: 0 };
    expect(() => validateJwtSvid(token({ payload: { exp: NOW_SECONDS } }), bundles, strict)).toThrow(
      /expired/,
    );
    expect(() => validateJwtSvid(token(), bundles, { ...strict, leeway: -1 })).toThrow(TypeError);
    for (const leeway of [Number.NaN, Number.POSITIVE_INFINITY, 300_001]) {
      expect(() => validateJwtSvid(token(), bundles, { ...strict, leeway })).toThrow(TypeError);
    }
    expect(() => validateJwtSvid(token(), bundles, { audience: 'a', now: Number.NaN })).toThrow(/expired/);
  });
  it('JWT-13: the signature is verified, and nbf honoured', () => {
    refuses({ key: ec().privateKey }, 'ERR_SVID_UNTRUSTED');
    accepts({ payload: { nbf: NOW_SECONDS + 30 } });
    refuses({ payload: { nbf: NOW_SECONDS + 90 } }, 'ERR_SVID_NOT_YET_VALID');
    refuses({ payload: { nbf: 'soon' } });
  });
  it('JWT-14: other claims are accepted and passed through', async () => {
    const claims = { 'https://acme/x': { y: [1] } };
    const svid = validate(await issue({ claims }));
    expect(svid.claims['https://acme/x']).toEqual({ y: [1] });
    await expect(issue({ claims: { sub: 'x' } })).rejects.toThrow(TypeError);
  });
  it('JWT-15: the key comes from the JWT bundle of the trust domain of sub, by kid', () => {
    const sub = 'spiffe://other.org/web';
    refuses({ payload: { sub } }, 'ERR_SVID_NO_BUNDLE');
    const both = jwtBundleSet([
      bundleOf({ k1: k1.publicKey }),
      bundleOf({ k1: ec().publicKey, k2: ec().publicKey }, OTHER),
    ]);
    refuses({ payload: { sub } }, 'ERR_SVID_UNTRUSTED', both);
    refuses({ header: { kid: 'k2' } }, 'ERR_SVID_UNTRUSTED', both);
    refuses({ payload: { sub }, header: { kid: undefined } }, 'ERR_SVID_UNTRUSTED', both);
  });
  it('JWT-16: an unknown critical header is refused', () => {
    for (const crit of [['foo'], [], null, 'foo', ['exp']]) refuses({ header: { crit, foo: 1 } });
  });
  it('JWT-17: a token travels as authorization: Bearer', async () => {
    const svid = validate(await issue());
    expect(AUTHORIZATION).toBe('authorization');
    const field = authorizationOf(svid, 'https://orders.example.org/');
    expect(field).toBe(`Bearer ${svid.token}`);
    expect([bearerTokenOf(field), bearerTokenOf(field.replace('Bearer', 'bearer'))]).toEqual([
      svid.token,
      svid.token,
    ]);
    for (const other of [
      undefined,
      '',
      'Basic x',
      'Bearer',
      'Bearer a b',
      `${field}, ${field}`,
      [field, field],
    ]) {
      expect(bearerTokenOf(other)).toBeUndefined();
    }
  });
  it('JWT-18: the same token is accepted again', () => {
    const text = token({ payload: { jti: 'x' } });
    expect([validate(text).id, validate(text).id]).toEqual([id, id]);
  });
  it('JWT-20: keys of other uses verify no JWT-SVID, also under the same kid', () => {
    const text = document([
      jwtElement('k1', { use: 'wit-svid' }, k1.publicKey),
      jwtElement('k2', { use: 'jwt-svid' }, ec().publicKey),
    ]);
    const source = spiffeBundleSet([parseSpiffeBundle(EXAMPLE, text, { experimental: { wit: true } })]);
    refuses({}, 'ERR_SVID_UNTRUSTED', source);
    const none = spiffeBundleSet([parseSpiffeBundle(EXAMPLE, document([]))]);
    refuses({}, 'ERR_SVID_NO_BUNDLE', none);
  });
  it('JWT-21: a token is not sent over plaintext', () => {
    for (const url of ['http://orders/', 'ftp://x', 'orders']) {
      expect(() => authorizationOf({ token: token() }, url)).toThrow(TypeError);
    }
  });
  it('WAPI-27: an X.509 authority of the bundle verifies no JWT-SVID', () => {
    const text = document([jwtElement('k1', { use: 'x509-svid' }, k1.publicKey)]);
    refuses({}, 'ERR_SVID_NO_BUNDLE', spiffeBundleSet([parseSpiffeBundle(EXAMPLE, text)]));
  });
  it('WAPI-40: every requested audience is in aud', async () => {
    expect(claimsOf(await issue({ audience: ['a', 'b'] }))['aud']).toEqual(['a', 'b']);
  });
  it('WAPI-51: with the bundles of the Workload API, the bundle of the subject decides', () => {
    const text = JSON.stringify({ keys: [{ ...jwtElement('k1', {}, k1.publicKey), use: undefined }] });
    accepts({}, jwtBundleSet([parseJwtBundle('spiffe://example.org', text)]));
    refuses({}, 'ERR_SVID_NO_BUNDLE', jwtBundleSet([parseJwtBundle('spiffe://other.org', text)]));
  });
});

describe('contradictions in the text, as decided', () => {
  it('C-04: headers that are not listed are ignored, and keys in them never used', () => {
    const own = ec();
    accepts({ header: { cty: 'x', 'x-acme': 1, jku: 'https://evil', x5u: 'https://evil' } });
    const jwk = own.publicKey.export({ format: 'jwk' });
    refuses({ key: own.privateKey, header: { jwk, x5c: ['AAAA'] } }, 'ERR_SVID_UNTRUSTED');
  });
  it('C-05: without kid, at most 16 keys that fit are tried, and every refusal reads the same', () => {
    const strangers = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`s${i}`, ec().publicKey]));
    const withoutKid: Vector = { header: { kid: undefined } };
    const rsaKey = { r: rsa().publicKey };
    accepts(withoutKid, jwtBundleSet([bundleOf({ ...rsaKey, ...strangers, k1: k1.publicKey })]));
    const crowded = jwtBundleSet([bundleOf({ ...strangers, last: ec().publicKey, k1: k1.publicKey })]);
    refuses(withoutKid, 'ERR_SVID_UNTRUSTED', crowded);
    const messageOf = (vector: Vector) => {
      try {
        validate(token(vector));
      } catch (error) {
        return (error as Error).message;
      }
      return 'accepted';
    };
    const key = ec().privateKey;
    const messages = [
      { ...withoutKid, key },
      { key },
      { header: { kid: 'no' } },
      { header: { alg: 'ES384' } },
    ];
    expect(new Set(messages.map(messageOf)).size).toBe(1);
  });
  it('C-06: aud may be a string or an array, and times may have fractions', () => {
    accepts({ payload: { aud: 'a', exp: NOW_SECONDS + 0.5 } });
  });
});

describe('vectors 11.3', () => {
  it('J01: typ absent, JWT, JOSE', () =>
    [undefined, 'JWT', 'JOSE'].forEach((typ) => accepts({ header: { typ } })));
  it('J02: other typ', () => {
    for (const typ of ['jwt', '', 7, 'wit+jwt', 'at+jwt']) refuses({ header: { typ } });
  });
  it('J03: typ null', () => refuses({ header: { typ: null } }));
  it('J04: no kid', () => accepts({ header: { kid: undefined } }));
  it('J05: kid unknown, empty or no text', () => {
    refuses({ header: { kid: 'k2' } }, 'ERR_SVID_UNTRUSTED');
    refuses({ header: { kid: 'K1' } }, 'ERR_SVID_UNTRUSTED');
    for (const kid of ['', null, 7]) refuses({ header: { kid } });
  });
  it('J06: extra headers', () => accepts({ header: { cty: 'JWT', acme: { a: 1 } } }));
  it('J07: a key in the header is never the key', () => {
    const own = ec();
    const header = { jwk: own.publicKey.export({ format: 'jwk' }) };
    refuses({ header, key: own.privateKey }, 'ERR_SVID_UNTRUSTED');
    accepts({ header });
  });
  it('J08: unknown crit', () => refuses({ header: { crit: ['foo'] } }));
  it('J09: alg none, HS256, EdDSA, lower case', () => {
    for (const alg of ['none', 'HS256', 'EdDSA', 'es256']) refuses({ header: { alg } });
    refuses(forge({ header: { alg: 'none' }, payload: { sub: id, aud: 'a', exp: NOW_SECONDS + 300 } }));
  });
  it('J10: wrong algorithm, wrong key, empty or DER signature', () => {
    refuses({ header: { alg: 'ES384' } }, 'ERR_SVID_UNTRUSTED');
    refuses({ header: { alg: 'RS256' } }, 'ERR_SVID_UNTRUSTED');
    refuses({ key: ec().privateKey }, 'ERR_SVID_UNTRUSTED');
    refuses({ signature: '' });
    refuses({ signature: base64urlOf(new Uint8Array(64)) }, 'ERR_SVID_UNTRUSTED');
    const input = token().split('.').slice(0, 2).join('.');
    const der = sign('sha256', new TextEncoder().encode(input), k1.privateKey);
    refuses(`${input}.${base64urlOf(der)}`, 'ERR_SVID_UNTRUSTED');
  });
  it('J11: duplicate members in header and payload', () => {
    const payload = JSON.stringify({ sub: id, aud: 'a', exp: NOW_SECONDS + 300 });
    const key = k1.privateKey;
    refuses(forge({ key, header: '{"alg":"ES256","kid":"k1","alg":"ES256"}', payload }));
    refuses(
      forge({ key, header: { alg: 'ES256', kid: 'k1' }, payload: payload.replace('{', `{"sub":"${id}",`) }),
    );
    refuses(forge({ key, header: '{"alg":"ES256","kid":"k1","\\u0061lg":"none"}', payload }));
  });
  it('J12: aud string or array', () =>
    ['a', ['a'], ['b', 'a']].forEach((aud) => accepts({ payload: { aud } })));
  it('J13: aud missing, [], other case, number', () => {
    for (const aud of [undefined, [], 7]) refuses({ payload: { aud } });
    refuses({ payload: { aud: ['A'] } }, 'ERR_SVID_AUDIENCE');
  });
  it('J14: no expected audience', () => {
    for (const aud of ['a', undefined]) {
      expect(() => validateJwtSvid(token({ payload: { aud } }), bundles, { audience: [], now: NOW })).toThrow(
        TypeError,
      );
    }
  });
  it('J15: exp missing, null, string, 0', () => {
    for (const exp of [undefined, null, '9999999999']) refuses({ payload: { exp } });
    refuses({ payload: { exp: 0 } }, 'ERR_SVID_EXPIRED');
  });
  it('J16: exp fractional, 1e15', () => {
    for (const exp of [NOW_SECONDS + 0.25, 1e15]) accepts({ payload: { exp } });
  });
  it('J17: exp 30 s and 62 s ago', () => {
    accepts({ payload: { exp: NOW_SECONDS - 30 } });
    refuses({ payload: { exp: NOW_SECONDS - 62 } }, 'ERR_SVID_EXPIRED');
  });
  it('J18: nbf in 30 s and in 90 s', () => {
    accepts({ payload: { nbf: NOW_SECONDS + 30 } });
    refuses({ payload: { nbf: NOW_SECONDS + 90 } }, 'ERR_SVID_NOT_YET_VALID');
    refuses({ payload: { nbf: 1e300 } }, 'ERR_SVID_NOT_YET_VALID');
  });
  it('J19: iat in 90 s', () => accepts({ payload: { iat: NOW_SECONDS + 90 } }));
  it('J20: sub missing, no ID, upper-case scheme, misspelt', () => {
    for (const sub of [undefined, 'w', 'SPIFFE://example.org/web']) refuses({ payload: { sub } });
    refuses({ payload: { sub: undefined, Sub: id } });
  });
  it('J21: sub without path', () => refuses({ payload: { sub: 'spiffe://example.org' } }));
  it('J22: sub of another trust domain', () => {
    const sub = 'spiffe://other.org/web';
    refuses({ payload: { sub } }, 'ERR_SVID_NO_BUNDLE');
    const both = jwtBundleSet([bundleOf({ k1: k1.publicKey }), bundleOf({ k9: ec().publicKey }, OTHER)]);
    refuses({ payload: { sub } }, 'ERR_SVID_UNTRUSTED', both);
  });
  it('J23: JSON serialization, two or five parts, padding, space', () => {
    const good = token();
    const [header, payload, signature] = good.split('.') as [string, string, string];
    for (const text of [
      JSON.stringify({ protected: header, payload, signature }),
      `${header}.${payload}`,
      `${good}.a.b`,
      `${header}=.${payload}.${signature}`,
      `${header}.${payload}=.${signature}`,
      `${good}==`,
      ` ${good}`,
      `${header}. ${payload}.${signature}`,
    ]) {
      refuses(text);
    }
  });
  it('J24: a newline after the token', () =>
    ['\n', '\r\n', '\0', ' '].forEach((tail) => refuses(token() + tail)));
  it('J25: RSA of 1024 bits', () => {
    const small = rsa(1024);
    for (const alg of ['RS256', 'PS256'] as const) {
      const input = token({ header: { alg } }).split('.').slice(0, 2).join('.');
      const signature = sign('sha256', new TextEncoder().encode(input), small.privateKey);
      const source = jwtBundleSet([bundleOf({ k1: small.publicKey })]);
      refuses(`${input}.${base64urlOf(signature)}`, 'ERR_SVID_UNTRUSTED', source);
    }
  });
  it('J26: RSA of 2048 bits, RS256 and PS256', () => {
    const pair = rsa();
    const source = jwtBundleSet([bundleOf({ k1: pair.publicKey })]);
    for (const algorithm of ['RS256', 'PS256'] as const) {
      accepts({ header: { alg: algorithm }, key: pair.privateKey, algorithm }, source);
    }
    refuses(
      { header: { alg: 'PS256' }, key: pair.privateKey, algorithm: 'RS256' },
      'ERR_SVID_UNTRUSTED',
      source,
    );
  });
  it('J27: a hundred claims, nested objects, non-ASCII', () => {
    const claims = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`ключ-${i}`, { a: [{ b: '😀' }] }]),
    );
    expect(validate(token({ payload: claims })).claims).toMatchObject(claims);
  });
  it('J28, C-20: every refusal is a SpiffeError, which ValidateJWTSVID answers with InvalidArgument', () => {
    for (const payload of [
      { sub: 7 },
      { aud: 'b' },
      { exp: 1 },
      { nbf: 9e9 },
      { sub: 'spiffe://other.org/w' },
    ]) {
      expect(() => validate(token({ payload }))).toThrow(expect.objectContaining({ name: 'SpiffeError' }));
    }
  });
});

describe('jose as the judge', () => {
  const rsaPair = rsa();
  const pairs: [JwsAlgorithm, ReturnType<typeof ec>][] = [
    ['ES256', k1],
    ['ES384', ec('P-384')],
    ['ES512', ec('P-521')],
    ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map(
      (algorithm) => [algorithm, rsaPair] as [JwsAlgorithm, ReturnType<typeof ec>],
    ),
  ];
  it.each(pairs)('JWT-03: %s goes both ways', async (algorithm, { publicKey, privateKey }) => {
    const ours = await createJwtSvidIssuer(localSigner('k', privateKey, algorithm))({
      id,
      audience: ['a'],
      expiresAt: NOW + 300_000,
    });
    const verdict = await jwtVerify(ours, publicKey, {
      algorithms: [algorithm],
      audience: 'a',
      subject: id,
      typ: 'JWT',
      requiredClaims: ['exp', 'sub', 'aud'],
      currentDate: new Date(NOW),
    });
    expect(verdict.payload['sub']).toBe(id);
    const theirs = await new SignJWT({ sub: id, aud: 'a', exp: NOW_SECONDS + 300 })
      .setProtectedHeader({ alg: algorithm, kid: 'k', typ: 'JWT' })
      .sign(privateKey);
    expect(validate(theirs, jwtBundleSet([bundleOf({ k: publicKey })])).id).toBe(id);
  });
});
