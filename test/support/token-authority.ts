// A real authority of JWT- and WIT-SVIDs for tests, and its tokens as the Workload API sends them.
import { generateKeyPairSync } from 'node:crypto';
import { serializeJwtBundle } from '../../sdk/bundle/jwt-bundle.ts';
import { serializeWitBundle } from '../../sdk/bundle/wit-bundle.ts';
import { createJwtSvidIssuer } from '../../sdk/jwt-svid/issue.ts';
import { localSigner } from '../../sdk/jwt-svid/signer.ts';
import { parseSpiffeId, parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { createWitSvidIssuer } from '../../sdk/wit-svid/issue.ts';

/** What may differ between tokens. */
export interface TokenOptions {
  readonly id?: string;
  readonly audience?: readonly string[];
  /** Milliseconds from now. Default 300,000. */
  readonly lifetime?: number;
  readonly hint?: string;
  readonly now?: number;
}

const WEB = 'spiffe://example.org/web';

/** An authority of `example.org` with one key for each profile. */
export function tokenAuthority() {
  const trustDomain = parseTrustDomain('example.org');
  const [jwtKeys, witKeys] = [newKeys(), newKeys()];
  const issueJwt = createJwtSvidIssuer(localSigner('j', jwtKeys.privateKey));
  const issueWit = createWitSvidIssuer(localSigner('w', witKeys.privateKey), { experimental: { wit: true } });
  let count = 0;
  return {
    jwtBundle: { trustDomain, jwtAuthorities: new Map([['j', jwtKeys.publicKey]]) },
    jwtBundles: {
      'spiffe://example.org': new TextEncoder().encode(
        serializeJwtBundle({ trustDomain, jwtAuthorities: new Map([['j', jwtKeys.publicKey]]) }),
      ),
    },
    witBundles: {
      'spiffe://example.org': serializeWitBundle({
        trustDomain,
        witAuthorities: new Map([['w', witKeys.publicKey]]),
      }),
    },
    /** An entry of JWTSVIDResponse; every token is another. */
    async jwt({ id = WEB, audience = ['a'], lifetime = 300_000, hint = '', now }: TokenOptions = {}) {
      const expiresAt = (now ?? Date.now()) + lifetime;
      const request = { id: parseSpiffeId(id), audience, expiresAt, tokenId: String(count++) };
      return { spiffeId: id, svid: await issueJwt(request), hint };
    },
    /** An entry of WITSVIDResponse, with a fresh key. */
    async wit({ id = WEB, lifetime = 300_000, hint = '' }: TokenOptions = {}) {
      const keys = newKeys();
      const expiresAt = Date.now() + lifetime;
      const witSvid = await issueWit({ id: parseSpiffeId(id), confirmationKey: keys.publicKey, expiresAt });
      return {
        spiffeId: id,
        witSvid,
        witSvidKey: JSON.stringify(keys.privateKey.export({ format: 'jwk' })),
        hint,
      };
    },
  };
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
