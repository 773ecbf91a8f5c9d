// WIT-SVIDs (WIT-SVID.md, Incubating), by requirement and by vector, and their proofs of possession.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { jwtBundleSet } from '../../sdk/bundle/jwt-bundle.ts';
import { parseSpiffeBundle } from '../../sdk/bundle/parse-bundle.ts';
import { spiffeBundleSet } from '../../sdk/bundle/spiffe-bundle.ts';
import { witBundleSet, type WitBundleSource } from '../../sdk/bundle/wit-bundle.ts';
import type { SpiffeErrorCode } from '../../sdk/error.ts';
import { createJwtSvidIssuer } from '../../sdk/jwt-svid/issue.ts';
import { localSigner } from '../../sdk/jwt-svid/signer.ts';
import { validateJwtSvid } from '../../sdk/jwt-svid/validate.ts';
import { parseSpiffeId } from '../../sdk/spiffe-id.ts';
import { parseHeldWitSvid, type HeldWitSvid } from '../../sdk/wit-svid/held-wit-svid.ts';
import { httpSignatureProof } from '../../sdk/wit-svid/http-signature/proof.ts';
import { createWitSvidIssuer, type WitSvidRequest } from '../../sdk/wit-svid/issue.ts';
import { presentWit } from '../../sdk/wit-svid/present.ts';
import type { ProofOfPossession, ProofOptions, WitRequest } from '../../sdk/wit-svid/proof-of-possession.ts';
import { verifyWitRequest, type VerifyWitOptions } from '../../sdk/wit-svid/verify.ts';
import { openWitSvid, readWitSvid } from '../../sdk/wit-svid/wit-svid.ts';
import { wptProof } from '../../sdk/wit-svid/wpt.ts';
import { document, jwtElement } from './bundle-vectors.ts';
import { ec, EXAMPLE, forge, NOW, NOW_SECONDS, OTHER, rsa, type Forgery } from './token-vectors.ts';

const experimental = { wit: true };
const id = parseSpiffeId('spiffe://example.org/web');
const k1 = ec();
const workload = ec();
const bundleOf = (keys: Record<string, KeyObject>, trustDomain = EXAMPLE) => ({
  trustDomain,
  witAuthorities: new Map(Object.entries(keys)),
});
const bundles = witBundleSet([bundleOf({ k1: k1.publicKey })]);
const confirmation = (key: KeyObject = workload.publicKey, alg: unknown = 'ES256') => ({
  jwk: { ...key.export({ format: 'jwk' }), alg },
});

interface Vector extends Omit<Forgery, 'header' | 'payload'> {
  readonly header?: Record<string, unknown>;
  readonly payload?: Record<string, unknown>;
}

/** The good token, with the members given changed; undefined takes one away. */
function token({ header, payload, ...rest }: Vector = {}): string {
  return forge({
    key: k1.privateKey,
    ...rest,
    header: { alg: 'ES256', kid: 'k1', typ: 'wit+jwt', ...header },
    payload: { sub: id, exp: NOW_SECONDS + 3_600, cnf: confirmation(), ...payload },
  });
}

/** What holds a token, for proofs; made without looking at the token, so that broken ones get a proof too. */
function holder(text: string, pair: typeof workload = workload): HeldWitSvid {
  const { publicKey: confirmationKey, privateKey } = pair;
  const held = { id, confirmationKey, privateKey, token: text, confirmationAlgorithm: 'ES256' as const };
  return { ...held, expiresAt: NOW + 1_000, claims: {}, hint: '' };
}

const request: WitRequest = { method: 'POST', url: 'https://orders.example.org/charge?id=1', headers: [] };
const kinds: [string, (options?: ProofOptions) => ProofOfPossession][] = [
  ['WPT', wptProof],
  ['HTTP message signatures', httpSignatureProof],
];

/** A request that presents a token with a proof. */
async function presented(
  text: string,
  over: { proof?: ProofOfPossession; held?: HeldWitSvid; request?: WitRequest; now?: number } = {},
): Promise<WitRequest> {
  const { proof = wptProof(), held = holder(text), request: base = request, now = NOW } = over;
  const lines = await presentWit(base, held, { experimental, proof, now });
  return { ...base, headers: [...base.headers, ...lines] };
}

const verify = (
  signed: WitRequest,
  over: Partial<VerifyWitOptions> = {},
  source: WitBundleSource = bundles,
) =>
  verifyWitRequest(signed, source, {
    experimental,
    proofs: [wptProof(), httpSignatureProof()],
    now: NOW,
    ...over,
  });
async function accepts(vector: Vector, source?: WitBundleSource): Promise<void> {
  expect(verify(await presented(token(vector)), {}, source).id).toBe(id);
}
async function refuses(
  text: string | Vector,
  code: SpiffeErrorCode = 'ERR_SVID_NOT_AN_SVID',
  source?: WitBundleSource,
): Promise<void> {
  const signed = await presented(typeof text === 'string' ? text : token(text));
  expect(() => verify(signed, {}, source)).toThrow(expect.objectContaining({ name: 'SpiffeError', code }));
}
const refusesProof = (signed: WitRequest, over: Partial<VerifyWitOptions> = {}) =>
  expect(() => verify(signed, over)).toThrow(
    expect.objectContaining({ name: 'SpiffeError', code: 'ERR_SVID_PROOF' }),
  );

const issuer = createWitSvidIssuer(localSigner('k1', k1.privateKey), { experimental });
const issue = (over: Partial<WitSvidRequest> = {}) =>
  issuer({ id, confirmationKey: workload.publicKey, expiresAt: NOW + 3_600_000, issuedAt: NOW, ...over });
const privateJwk = JSON.stringify(workload.privateKey.export({ format: 'jwk' }));

// WIT-SVID.md, appendix A.
const SAMPLE = [
  'eyJhbGciOiJFUzI1NiIsImtpZCI6ImxRU2kzaFpGbmRhMkQtWEprajF6bDdmb0pvdWl3STRuckF5aHk0alppSmciLCJ0eXAiOiJ3aXQrand0In0',
  'eyJjbmYiOnsiandrIjp7ImFsZyI6IkVTMjU2IiwiY3J2IjoiUC0yNTYiLCJrdHkiOiJFQyIsIngiOiJyelA3bUxDS0FIV21zTTZYMEV3VklTQ19oSTN1amN1OTVmZlVreWVER0dvIiwieSI6InVPcmZEbGp0WDltM2pZLWhzeWhMSllheHRHa3pEdjVlNWttQ2U1OFo5N2cifX0sImV4cCI6MTc2NTQ1NjUwMywiaWF0IjoxNzY1NDUyOTAzLCJqdGkiOiIxeWoxOVY0TWNPQXpNY0ZpN3F2c2dfQWdDeGxyWTVFX3g1MDl3bEtLUXRjIiwic3ViIjoic3BpZmZlOi8vZXhhbXBsZS5jb20vbXktd29ya2xvYWQifQ',
  'sfhEvZNdY_kWrICF08lX0u__rn39YnTavnW-VPBS20zgowDh6-X43v5eOUKZbjZf06yLBQM-Mry5w1g1QFsCkg',
];

describe('requirements', () => {
  it('STAB-01: WIT-SVIDs are off until they are switched on', async () => {
    const signed = await presented(token());
    for (const off of [undefined, {}, { wit: false }]) {
      const options = { experimental: off } as never as { experimental: typeof experimental };
      expect(() => verify(signed, options)).toThrow(TypeError);
      expect(() => createWitSvidIssuer(localSigner('k1', k1.privateKey), options)).toThrow(TypeError);
      expect(() => parseHeldWitSvid(token(), privateJwk, options)).toThrow(TypeError);
      await expect(presentWit(request, holder(token()), { ...options, proof: wptProof() })).rejects.toThrow(
        TypeError,
      );
    }
  });
  it('WIT-01: only JWS Compact Serialization', async () => {
    const [header, payload, signature] = token().split('.');
    await refuses(JSON.stringify({ protected: header, payload, signature }));
    await refuses(`${token()}.x.y`);
  });
  it('WIT-02: kid is there, and compared exactly', async () => {
    for (const kid of [undefined, '', null, 7]) await refuses({ header: { kid } });
    await refuses({ header: { kid: 'K1' } }, 'ERR_SVID_UNTRUSTED');
    expect(() => createWitSvidIssuer(localSigner('', k1.privateKey), { experimental })).toThrow(TypeError);
  });
  it('WIT-03: typ is wit+jwt, exactly', async () => {
    for (const typ of [undefined, 'JWT', 'application/wit+jwt', 'WIT+JWT', null])
      await refuses({ header: { typ } });
  });
  it('WIT-04: alg is one of the nine', async () => {
    for (const alg of ['EdDSA', 'none', 'HS256', undefined, 'es256']) await refuses({ header: { alg } });
  });
  it('WIT-05: other headers are ignored, but crit is honoured; none is minted', async () => {
    await accepts({ header: { foo: 1 } });
    await refuses({ header: { crit: ['foo'], foo: 1 } });
    expect(Object.keys(decodeProtectedHeader(await issue()))).toEqual(['alg', 'kid', 'typ']);
  });
  it('WIT-06: sub is the SPIFFE ID of a workload', async () => {
    for (const sub of [undefined, 'web', 7]) await refuses({ payload: { sub } });
    await expect(issue({ id: parseSpiffeId('spiffe://example.org') })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_ID',
    });
  });
  it('WIT-07: cnf holds a public asymmetric key', async () => {
    const secret = workload.privateKey.export({ format: 'jwk' });
    const bad = [
      undefined,
      'x',
      {},
      { kid: 'x' },
      { jwk: 'x' },
      { jwk: null },
      { jwk: { kty: 'oct', k: 'AA', alg: 'HS256' } },
    ];
    for (const cnf of [...bad, { jwk: { ...secret, alg: 'ES256' } }]) await refuses({ payload: { cnf } });
    await expect(issue({ confirmationKey: workload.privateKey })).rejects.toMatchObject({
      code: 'ERR_BUNDLE',
    });
  });
  it('WIT-08: cnf.jwk.alg is one of the nine', async () => {
    const okp = generateKeyPairSync('ed25519').publicKey;
    for (const alg of [undefined, 7, 'HS256', 'none']) {
      await refuses({ payload: { cnf: { jwk: { ...confirmation().jwk, alg } } } });
    }
    await refuses({ payload: { cnf: confirmation(okp, 'EdDSA') } });
    await expect(issue({ confirmationKey: okp })).rejects.toThrow(TypeError);
  });
  it('WIT-09: cnf.jwk.alg fits the key', async () => {
    const okp = generateKeyPairSync('ed25519').publicKey;
    for (const cnf of [
      confirmation(okp),
      confirmation(undefined, 'RS256'),
      confirmation(undefined, 'ES384'),
    ]) {
      await refuses({ payload: { cnf } });
    }
    await expect(issue({ confirmationAlgorithm: 'ES384' })).rejects.toThrow(TypeError);
  });
  it('WIT-10: jti never repeats', async () => {
    const mint = createWitSvidIssuer(
      { keyId: 'k1', algorithm: 'ES256', sign: () => new Uint8Array(64) },
      { experimental },
    );
    const seen = new Set<unknown>();
    const count = 100_000;
    for (let index = 0; index < count; index++) {
      const text = await mint({ id, confirmationKey: workload.publicKey, expiresAt: NOW });
      seen.add(decodeJwt(text).jti);
    }
    expect(seen.size).toBe(count);
  });
  it('WIT-11: jti is no replay key: one token with two proofs is accepted twice', async () => {
    const proofs = [wptProof()] as const;
    const text = token({ payload: { jti: 'same' } });
    for (let use = 0; use < 2; use++) expect(verify(await presented(text), { proofs }).id).toBe(id);
  });
  it('WIT-12: exp is there and has not passed, within a leeway of at most two minutes', async () => {
    for (const exp of [undefined, null, '1']) await refuses({ payload: { exp } });
    await refuses({ payload: { exp: NOW_SECONDS - 62 } }, 'ERR_SVID_EXPIRED');
    await accepts({ payload: { exp: NOW_SECONDS - 30 } });
    const signed = await presented(token());
    expect(() => verify(signed, { leeway: 600_000 })).toThrow(TypeError);
  });
  it('WIT-13: nbf in the future is refused', async () => {
    await refuses({ payload: { nbf: NOW_SECONDS + 3_600 } }, 'ERR_SVID_NOT_YET_VALID');
    expect(decodeJwt(await issue({ notBefore: NOW })).nbf).toBe(NOW_SECONDS);
  });
  it('WIT-14: a policy may cap the lifetime', async () => {
    const long = await presented(token({ payload: { nbf: NOW_SECONDS, exp: NOW_SECONDS + 86_400 } }));
    expect(() => verify(long, { maxLifetime: 3_600_000 })).toThrow(/longer than allowed/);
    expect(verify(long).id).toBe(id);
  });
  it('WIT-15: iat does not bound validity', () => accepts({ payload: { iat: NOW_SECONDS + 90 } }));
  it('WIT-16: an issuer that looks like an OpenID Connect one is refused in the configuration', async () => {
    const signer = localSigner('k1', k1.privateKey);
    for (const name of ['https://issuer.example.org', 'HTTP://x']) {
      expect(() => createWitSvidIssuer(signer, { experimental, issuer: name })).toThrow(TypeError);
    }
    const mint = createWitSvidIssuer(signer, { experimental, issuer: 'spiffe://example.org' });
    const text = await mint({ id, confirmationKey: workload.publicKey, expiresAt: NOW });
    expect(decodeJwt(text).iss).toBe('spiffe://example.org');
  });
  it('WIT-17: there is no aud at all', async () => {
    for (const aud of ['a', ['a'], [], null, '']) await refuses({ payload: { aud } });
    await expect(issue({ claims: { aud: 'a' } })).rejects.toThrow(TypeError);
  });
  it('WIT-18: unknown claims are ignored', () => accepts({ payload: { foo: 1, bar: { aud: 'x' } } }));
  it('WIT-19: a minted token has alg, typ, kid, sub, exp, cnf with jwk.alg, and no aud', async () => {
    const text = await issue();
    expect(decodeProtectedHeader(text)).toEqual({ alg: 'ES256', kid: 'k1', typ: 'wit+jwt' });
    const { sub, exp, cnf, aud } = decodeJwt(text) as Record<string, unknown>;
    expect({ sub, exp, aud }).toEqual({ sub: id, exp: NOW_SECONDS + 3_600, aud: undefined });
    expect(cnf).toEqual(confirmation());
  });
  it('WIT-20: two instances may present one token, or two with one key', async () => {
    for (const text of [token(), token(), token({ payload: { jti: 'b' } })]) {
      expect(verify(await presented(text)).id).toBe(id);
    }
  });
  it('WIT-21: a token without proof is never accepted', () => {
    refusesProof({ ...request, headers: [['Workload-Identity-Token', token()]] });
    const none = { proofs: [] as never };
    expect(() => verify({ ...request, headers: [['Workload-Identity-Token', token()]] }, none)).toThrow(
      TypeError,
    );
  });
  it('WIT-22: a token in the authorization field is refused', async () => {
    const text = token();
    const bearer: WitRequest = { ...request, headers: [['Authorization', `Bearer ${text}`]] };
    expect(() => verify(bearer)).toThrow(expect.objectContaining({ code: 'ERR_SVID_NOT_AN_SVID' }));
    const both = await presented(text, { request: bearer });
    expect(() => verify(both)).toThrow(/bearer/);
    const asJwt = () =>
      validateJwtSvid(
        text,
        jwtBundleSet([{ trustDomain: EXAMPLE, jwtAuthorities: new Map([['k1', k1.publicKey]]) }]),
        {
          audience: 'a',
          now: NOW,
        },
      );
    expect(asJwt).toThrow(expect.objectContaining({ code: 'ERR_SVID_NOT_AN_SVID' }));
  });
  it.each(kinds)(
    'WIT-23: with a proof by %s a token is accepted; by another key it is not',
    async (_, proof) => {
      expect(verify(await presented(token(), { proof: proof() })).id).toBe(id);
      refusesProof(await presented(token(), { proof: proof(), held: holder(token(), ec()) }));
    },
  );
  it.each(kinds)('WIT-24: a proof by %s expires soon, and must', async (_, proof) => {
    const old = await presented(token(), { proof: proof(), now: NOW - 95_000 });
    refusesProof(old);
    refusesProof(await presented(token(), { proof: proof({ lifetime: 3_600_000 }) }));
    expect(verify(await presented(token(), { proof: proof(), now: NOW - 80_000 })).id).toBe(id);
  });
  it.each(kinds)('WIT-25: a proof by %s is accepted once', async (_, proof) => {
    const signed = await presented(token(), { proof: proof() });
    const proofs = [proof()] as const;
    expect(verify(signed, { proofs }).id).toBe(id);
    refusesProof(signed, { proofs });
    const forgetful = [proof({ replay: null })] as const;
    for (let use = 0; use < 2; use++) expect(verify(signed, { proofs: forgetful }).id).toBe(id);
  });
  it('WIT-26: a token is not presented over plaintext', async () => {
    for (const url of ['http://orders.example.org/', 'ws://x/', '/charge']) {
      const options = { experimental, proof: wptProof() };
      await expect(presentWit({ ...request, url }, holder(token()), options)).rejects.toThrow(TypeError);
    }
  });
  it('WIT-28: a key that stands only under jwt-svid verifies no WIT-SVID', async () => {
    const text = document([
      jwtElement('k1', {}, k1.publicKey),
      jwtElement('w', { use: 'wit-svid' }, ec().publicKey),
    ]);
    const source = spiffeBundleSet([parseSpiffeBundle(EXAMPLE, text, { experimental })]);
    await refuses({}, 'ERR_SVID_UNTRUSTED', source);
    await refuses({}, 'ERR_SVID_NO_BUNDLE', spiffeBundleSet([parseSpiffeBundle(EXAMPLE, text)]));
  });
  it('WIT-29: the key comes from the WIT bundle of the trust domain of sub', async () => {
    const sub = 'spiffe://other.org/web';
    await refuses({ payload: { sub } }, 'ERR_SVID_NO_BUNDLE');
    const both = witBundleSet([bundleOf({ k1: k1.publicKey }), bundleOf({ k1: ec().publicKey }, OTHER)]);
    await refuses({ payload: { sub } }, 'ERR_SVID_UNTRUSTED', both);
  });
  it('WAPI-63: the private key that comes with a token is checked against cnf', async () => {
    const text = await issue();
    expect(parseHeldWitSvid(text, privateJwk, { experimental, hint: 'h' })).toMatchObject({ id, hint: 'h' });
    const foreign = JSON.stringify(ec().privateKey.export({ format: 'jwk' }));
    expect(() => parseHeldWitSvid(text, foreign, { experimental })).toThrow(
      expect.objectContaining({ code: 'ERR_PRIVATE_KEY' }),
    );
  });
  it('WAPI-67: a WIT key verifies no JWT-SVID', async () => {
    const text = await createJwtSvidIssuer(localSigner('k1', k1.privateKey))({
      id,
      audience: ['a'],
      expiresAt: NOW + 9e4,
    });
    const elements = document([jwtElement('k1', { use: 'wit-svid' }, k1.publicKey)]);
    const source = spiffeBundleSet([parseSpiffeBundle(EXAMPLE, elements, { experimental })]);
    expect(() => validateJwtSvid(text, source, { audience: 'a', now: NOW })).toThrow(/no bundle/);
  });
});

describe('contradictions in the text, as decided', () => {
  it('C-17: the body of WIT-SVID.md counts, not its appendix B: another header is no reason to refuse', () =>
    accepts({ header: { cty: 'x' }, payload: { iss: 'https://issuer.example.org' } }));
});

describe('vectors 11.4', () => {
  it('W01: good', () => accepts({}));
  it('W02: typ', async () => {
    for (const typ of [undefined, 'JWT', 'WIT+JWT', 'application/wit+jwt'])
      await refuses({ header: { typ } });
  });
  it('W03: no kid', () => refuses({ header: { kid: undefined } }));
  it('W04: extra header, unknown crit', async () => {
    await accepts({ header: { x: 'y' } });
    await refuses({ header: { crit: ['x'], x: 'y' } });
  });
  it('W05: alg HS256', () => refuses({ header: { alg: 'HS256' } }));
  it('W06: aud', async () => {
    for (const aud of ['a', ['a']]) await refuses({ payload: { aud } });
  });
  it('W07: aud []', () => refuses({ payload: { aud: [] } }));
  it('W08: aud null', () => refuses({ payload: { aud: null } }));
  it('W09: iss https URL', () => accepts({ payload: { iss: 'https://issuer.example.org' } }));
  it('W10: unknown claims', () => accepts({ payload: { a: [1, { b: 2 }] } }));
  it('W11: sub missing or no ID', async () => {
    for (const sub of [undefined, 'x', 'https://example.org/web']) await refuses({ payload: { sub } });
  });
  it('W12: sub without path', () => refuses({ payload: { sub: 'spiffe://example.org' } }));
  it('W13: cnf missing or without key', async () => {
    for (const cnf of [undefined, 'x', {}, { kid: 'k' }, { jwk: 'x' }]) await refuses({ payload: { cnf } });
  });
  it('W14: cnf.jwk.alg missing or not allowed', async () => {
    for (const alg of [undefined, 7, 'HS256', 'EdDSA']) {
      await refuses({ payload: { cnf: { jwk: { ...confirmation().jwk, alg } } } });
    }
  });
  it('W15: cnf.jwk.alg does not fit the key', async () => {
    const okp = generateKeyPairSync('ed25519').publicKey;
    for (const cnf of [
      confirmation(okp),
      confirmation(undefined, 'RS256'),
      confirmation(undefined, 'ES384'),
    ]) {
      await refuses({ payload: { cnf } });
    }
  });
  it('W16: cnf.jwk private or symmetric', async () => {
    const jwk = { ...workload.privateKey.export({ format: 'jwk' }), alg: 'ES256' };
    for (const cnf of [{ jwk }, { jwk: { kty: 'oct', k: 'AAAA', alg: 'ES256' } }])
      await refuses({ payload: { cnf } });
  });
  it('W17: cnf with jwk and kid', () => accepts({ payload: { cnf: { ...confirmation(), kid: 'x' } } }));
  it('W18: exp missing, 62 s and 30 s ago', async () => {
    await refuses({ payload: { exp: undefined } });
    await refuses({ payload: { exp: NOW_SECONDS - 62 } }, 'ERR_SVID_EXPIRED');
    await accepts({ payload: { exp: NOW_SECONDS - 30 } });
  });
  it('W19: nbf in 90 s and in 1 h', async () => {
    for (const wait of [90, 3_600])
      await refuses({ payload: { nbf: NOW_SECONDS + wait } }, 'ERR_SVID_NOT_YET_VALID');
  });
  it('W20: iat in 90 s without nbf', () => accepts({ payload: { iat: NOW_SECONDS + 90 } }));
  it('W21: no bundle, unknown kid, wrong signature, key under jwt-svid', async () => {
    await refuses({}, 'ERR_SVID_NO_BUNDLE', witBundleSet([]));
    await refuses({ header: { kid: 'k2' } }, 'ERR_SVID_UNTRUSTED');
    await refuses({ key: ec().privateKey }, 'ERR_SVID_UNTRUSTED');
    const text = document([jwtElement('k1', {}, k1.publicKey)]);
    await refuses(
      {},
      'ERR_SVID_NO_BUNDLE',
      spiffeBundleSet([parseSpiffeBundle(EXAMPLE, text, { experimental })]),
    );
  });
  it.each(kinds)('W22: no proof, proof by another key, expired proof: %s', async (_, proof) => {
    refusesProof({ ...request, headers: [['workload-identity-token', token()]] });
    refusesProof(await presented(token(), { proof: proof(), held: holder(token(), ec()) }));
    refusesProof(await presented(token(), { proof: proof(), now: NOW - 600_000 }));
  });
  it('W23: in Authorization: Bearer', () => {
    const bearer = { ...request, headers: [['authorization', `Bearer ${token()}`]] as const };
    expect(() => verify(bearer)).toThrow(/exactly one field/);
  });
  it('W24: the sample of appendix A reads as printed there, and has expired', async () => {
    const sample = SAMPLE.join('.');
    expect(readWitSvid(openWitSvid(sample))).toMatchObject({
      id: 'spiffe://example.com/my-workload',
      expiresAt: 1_765_456_503_000,
      issuedAt: 1_765_452_903_000,
      confirmationAlgorithm: 'ES256',
      claims: { jti: '1yj19V4McOAzMcFi7qvsg_AgCxlrY5E_x509wlKKQtc' },
    });
    await refuses(sample, 'ERR_SVID_EXPIRED');
  });
  it('W25: a key that is empty, no JWK or public', async () => {
    const text = await issue();
    const publicJwk = JSON.stringify(workload.publicKey.export({ format: 'jwk' }));
    for (const key of ['', 'x', '{}', '[]', publicJwk, privateJwk.slice(1)]) {
      expect(() => parseHeldWitSvid(text, key, { experimental })).toThrow(
        expect.objectContaining({ code: 'ERR_PRIVATE_KEY' }),
      );
    }
  });
  it('W26: a key that is not that of cnf', async () => {
    const other = JSON.stringify(ec().privateKey.export({ format: 'jwk' }));
    const text = await issue();
    expect(() => parseHeldWitSvid(text, other, { experimental })).toThrow(/not that of the WIT-SVID/);
  });
  it('W27: presented to a validator of JWT-SVIDs', () => {
    const source = jwtBundleSet([{ trustDomain: EXAMPLE, jwtAuthorities: new Map([['k1', k1.publicKey]]) }]);
    expect(() => validateJwtSvid(token(), source, { audience: 'a', now: NOW })).toThrow(/typ/);
  });
  it('W28: a JWT-SVID presented as WIT-SVID', () =>
    refuses({ header: { typ: 'JWT' }, payload: { aud: ['a'] } }));
});

describe('jose as the judge', () => {
  const pair = rsa();
  it.each([
    ['ES256', k1],
    ['ES384', ec('P-384')],
    ['PS512', pair],
  ] as const)('WIT-04: %s goes both ways', async (algorithm, { publicKey, privateKey }) => {
    const mint = createWitSvidIssuer(localSigner('k', privateKey, algorithm), { experimental });
    const ours = await mint({ id, confirmationKey: workload.publicKey, expiresAt: NOW + 60_000 });
    const verdict = await jwtVerify(ours, publicKey, {
      algorithms: [algorithm],
      typ: 'wit+jwt',
      requiredClaims: ['exp', 'sub', 'cnf'],
      currentDate: new Date(NOW),
    });
    expect(verdict.payload.sub).toBe(id);
    const theirs = await new SignJWT({ sub: id, exp: NOW_SECONDS + 60, cnf: confirmation() })
      .setProtectedHeader({ alg: algorithm, kid: 'k', typ: 'wit+jwt' })
      .sign(privateKey);
    expect(verify(await presented(theirs), {}, witBundleSet([bundleOf({ k: publicKey })])).id).toBe(id);
  });
  it('WIT-23: a workload proof token of ours is a JWT that jose verifies', async () => {
    const signed = await presented(token());
    const wpt = [...signed.headers].find(([name]) => name === 'workload-proof-token')![1];
    const verdict = await jwtVerify(wpt, workload.publicKey, {
      algorithms: ['ES256'],
      typ: 'wpt+jwt',
      audience: 'https://orders.example.org/charge',
      requiredClaims: ['exp', 'jti', 'wth'],
      currentDate: new Date(NOW),
    });
    expect(Object.keys(verdict.payload)).toEqual(['aud', 'exp', 'jti', 'wth']);
  });
});
