// For tests only: a certificate authority on a real store in a temporary folder, with a clock that the test sets.
import { generateKeyPairSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openDiskKeyManager } from '../../daemon/key-manager/disk.ts';
import { createLog } from '../../daemon/log.ts';
import { x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { parseTrustDomain, spiffeIdOf } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { spiffeBundleOf } from '../federation/bundle-view.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Bundle, Store } from '../store/store.ts';
import { temporaryFolder } from '../testing.ts';
import {
  openCertificateAuthority,
  type CertificateAuthority,
  type CertificateAuthorityOptions,
} from './certificate-authority.ts';

export const HOUR = 3_600_000;
export const trustDomain = parseTrustDomain('example.org');
export const workloadKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
/** What an X509-SVID is asked for with. */
export const web = {
  id: spiffeIdOf(trustDomain, '/web'),
  publicKeyInfo: workloadKey.publicKey.export({ type: 'spki', format: 'der' }),
  ttl: HOUR,
};
/** What a JWT-SVID is asked for with. */
export const token = { id: web.id, audience: ['db'], ttl: 300_000 };

export interface CaBench extends AsyncDisposable {
  readonly store: Store;
  readonly keysFile: string;
  /** Milliseconds since 1970. */
  time: number;
  readonly options: Pick<CertificateAuthorityOptions, 'store' | 'log' | 'now' | 'trustDomain'>;
  /** Opens an authority, as a start of the server does. */
  open(over?: Partial<CertificateAuthorityOptions>): Promise<CertificateAuthority>;
  bundle(): Promise<Bundle>;
  /** Serial numbers of the roots in the bundle. */
  roots(): Promise<string[]>;
  /** The serial number of the root that an SVID of an authority leads to. */
  issuerOf(ca: CertificateAuthority): Promise<string>;
}

export async function startCaBench(): Promise<CaBench> {
  const folder = temporaryFolder();
  const store = await openSqliteStore({ folder, trustDomain });
  const log = createLog({ name: 'test', level: 'silent' });
  const keysFile = join(folder, 'keys.json');
  const bench: CaBench = {
    store,
    keysFile,
    time: Date.parse('2026-01-01T00:00:00Z'),
    options: { store, log, trustDomain, now: () => bench.time },
    open: async (over) =>
      openCertificateAuthority({
        ...bench.options,
        keys: await openDiskKeyManager(keysFile),
        keyType: 'ec-p256',
        jwt: { keyType: 'ec-p256' },
        ttl: 24 * HOUR,
        ...over,
      }),
    bundle: async () => (await store.authorities()).bundle!,
    roots: async () =>
      (await bench.bundle()).x509Authorities.map(({ certificate }) => parseCertificate(certificate).serial),
    async issuerOf(ca) {
      const { chain } = await ca.signX509(web);
      const { x509Authorities: authorities } = spiffeBundleOf(await bench.bundle());
      const bundles = x509BundleSet([{ trustDomain, authorities }]);
      return verifyX509Svid(chain, bundles, { now: bench.time }).authority.serial;
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return bench;
}

/** The message with which something fails. */
export function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'nothing',
    (error: Error) => error.message,
  );
}
