// A tiny certificate authority for tests: X.509 certificates of any shape, written as DER by hand, so that a test
// can make what an honest authority would refuse to (two URI SANs, an expired leaf, a CA as leaf).
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';

/** What a test certificate says. */
export interface CertificateShape {
  readonly uris?: readonly string[];
  readonly ca?: boolean;
  /** Milliseconds since the epoch. Default: a minute ago. */
  readonly notBefore?: number;
  /** Milliseconds since the epoch. Default: an hour ahead. */
  readonly notAfter?: number;
  readonly serial?: Uint8Array;
}

/** A certificate with its key, able to sign others. */
export interface Issued {
  readonly certificate: Uint8Array;
  /** The certificate followed by its intermediates: what a TLS peer sends. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8 DER. */
  readonly privateKey: Uint8Array;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  issue(shape: CertificateShape): Issued;
}

/** A self-signed authority of a trust domain. */
export function createAuthority(trustDomain: string): Issued {
  return build({ uris: [`spiffe://${trustDomain}`], ca: true }, undefined);
}

interface Signer {
  readonly name: Buffer;
  readonly key: KeyObject;
  readonly keyId: Buffer;
  readonly chain: readonly Uint8Array[];
}

function build(shape: CertificateShape, signer: Signer | undefined): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = createHash('sha1').update(spki).digest();
  const serial = Buffer.from(shape.serial ?? randomBytes(16));
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const notBefore = Math.floor((shape.notBefore ?? Date.now() - 60_000) / 1000) * 1000;
  const notAfter = Math.floor((shape.notAfter ?? Date.now() + 3_600_000) / 1000) * 1000;
  const name = seq(
    set(seq(oid('550403'), tlv(0x0c, Buffer.from(`sigil test ${keyId.toString('hex', 0, 4)}`)))),
  );
  const tbs = seq(
    tlv(0xa0, tlv(0x02, Buffer.of(2))),
    tlv(0x02, serial),
    ECDSA_SHA256,
    signer?.name ?? name,
    seq(time(notBefore), time(notAfter)),
    name,
    spki,
    tlv(0xa3, seq(...extensions(shape, keyId, signer?.keyId ?? keyId))),
  );
  const signature = sign('sha256', tbs, signer?.key ?? privateKey);
  const certificate = new Uint8Array(seq(tbs, ECDSA_SHA256, bits(0, signature)));
  // A root is never sent: a peer has it already or does not trust it.
  const chain = signer === undefined ? [] : [certificate, ...signer.chain];
  return {
    certificate,
    chain,
    privateKey: new Uint8Array(privateKey.export({ type: 'pkcs8', format: 'der' })),
    serial: serial.toString('hex'),
    notBefore,
    notAfter,
    issue: (child) => build(child, { name, key: privateKey, keyId, chain }),
  };
}

function extensions(shape: CertificateShape, keyId: Buffer, authorityKeyId: Buffer): Buffer[] {
  const list = [
    extension('551d0e', tlv(0x04, keyId)),
    extension('551d23', seq(tlv(0x80, authorityKeyId))),
    extension('551d13', shape.ca ? seq(TRUE) : seq(), true),
    extension('551d0f', shape.ca ? bits(1, Buffer.of(0x06)) : bits(7, Buffer.of(0x80)), true),
  ];
  if (!shape.ca) {
    list.push(extension('551d25', seq(oid('2b06010505070301'), oid('2b06010505070302'))));
  }
  if (shape.uris !== undefined && shape.uris.length > 0) {
    list.push(extension('551d11', seq(...shape.uris.map((uri) => tlv(0x86, Buffer.from(uri, 'latin1'))))));
  }
  return list;
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return seq(oid(id), ...(critical ? [TRUE] : []), tlv(0x04, value));
}

function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.of(tag, length), content]);
  if (length < 256) return Buffer.concat([Buffer.of(tag, 0x81, length), content]);
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content]);
}

function seq(...parts: readonly Uint8Array[]): Buffer {
  return tlv(0x30, ...parts);
}

function set(...parts: readonly Uint8Array[]): Buffer {
  return tlv(0x31, ...parts);
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'));
}

function bits(unused: number, content: Uint8Array): Buffer {
  return tlv(0x03, Buffer.of(unused), content);
}

function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return tlv(0x17, Buffer.from(digits.slice(2), 'latin1'));
}

const TRUE = tlv(0x01, Buffer.of(0xff));
const ECDSA_SHA256 = seq(oid('2a8648ce3d040302'));
