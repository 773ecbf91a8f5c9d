import { createPublicKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { createMemoryKeyManager } from '../../daemon/key-manager/memory.ts';
import { createLog } from '../../daemon/log.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { derOfPem } from '../../sdk/x509-svid/pem.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import { temporaryFolder } from '../testing.ts';
import { openCertificateAuthority } from './certificate-authority.ts';
import { ServerSvid } from './server-svid.ts';

const HOUR = 3_600_000;

test('a new key and certificate at half life, and at once when its authority is tainted', async () => {
  const trustDomain = parseTrustDomain('example.org');
  let time = Date.parse('2026-01-01T00:00:00Z');
  const now = () => time;
  await using store = await openSqliteStore({ folder: temporaryFolder(), trustDomain });
  const log = createLog({ name: 'test', level: 'silent' });
  const keys = createMemoryKeyManager();
  const ca = await openCertificateAuthority({
    trustDomain,
    keys,
    keyType: 'ec-p256',
    ttl: 24 * HOUR,
    store,
    log,
    now,
  });
  let tainted = '';
  const svid = new ServerSvid({
    trustDomain,
    ca,
    keyType: 'ec-p256',
    ttl: HOUR,
    isTainted: (id) => id === tainted,
    now,
  });
  expect(svid.isDue).toBe(true);
  const first = await svid.renew();
  const [leaf] = derOfPem('CERTIFICATE', first.cert);
  const [pkcs8] = derOfPem('PRIVATE KEY', first.key);
  expect(parseX509Svid(leaf!, pkcs8!).id).toBe('spiffe://example.org/spire/server');
  expect(svid.isDue).toBe(false);
  time += HOUR / 2;
  expect(svid.isDue).toBe(true);
  const second = await svid.renew();
  expect(createPublicKey(second.key).equals(createPublicKey(first.key))).toBe(false);
  expect(svid.isDue).toBe(false);
  tainted = ca.x509.active!.record.id;
  expect(svid.isDue).toBe(true);
});
