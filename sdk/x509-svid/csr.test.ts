import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import { createCsr, readCsr } from './csr.ts';

const id = parseSpiffeId('spiffe://example.org/web');

describe('CSRs', () => {
  it.each([
    ['P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['RSA 2048', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['Ed25519', () => generateKeyPairSync('ed25519')],
  ])('of %s keys are read back', (_, generate) => {
    const { privateKey } = generate();
    const request = readCsr(createCsr(privateKey, id));
    expect(request.extensions.subjectAltName?.uris).toEqual([id]);
    expect(request.publicKeyInfo).toEqual(
      new Uint8Array(createPublicKey(privateKey).export({ type: 'spki', format: 'der' })),
    );
  });

  it('without an ID have no names', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(readCsr(createCsr(privateKey)).extensions.subjectAltName).toBeUndefined();
  });

  it('with a changed byte are refused', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = createCsr(privateKey, id);
    for (let index = 0; index < csr.length; index++) {
      const changed = csr.slice();
      changed[index]! ^= 1;
      expect(() => readCsr(changed), `byte ${index}`).toThrow(SpiffeError);
    }
  });

  it('of short RSA keys, foreign curves and great size are refused', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const foreign = generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).privateKey;
    for (const key of [short, foreign])
      expect(() => readCsr(createCsr(key, id))).toThrow(/ERR_CSR|1024|secp224r1/);
    expect(() => readCsr(new Uint8Array(1_000_000))).toThrow(/larger than/);
  });
});
