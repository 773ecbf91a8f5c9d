// The pieces of TLS 1.3 (RFC 8446) that a peer written by hand is made of: lengths, key schedule, records.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

export const ZERO = Buffer.alloc(32);
export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
export const u8 = (...bytes: number[]) => Buffer.from(bytes);
export const u16 = (value: number) => u8(value >> 8, value & 255);
export const u24 = (value: number) => u8(value >> 16, (value >> 8) & 255, value & 255);
export const vector = (size: (n: number) => Buffer, body: Buffer) => Buffer.concat([size(body.length), body]);
export const message = (type: number, body: Buffer) => Buffer.concat([u8(type), vector(u24, body)]);
export const extension = (type: number, body: Buffer) => Buffer.concat([u16(type), vector(u16, body)]);
const extract = (salt: Buffer, secret: Buffer) => createHmac('sha256', salt).update(secret).digest();
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
export const KEY_SHARE = 51;
export const VERSIONS = 43;

function expand(secret: Buffer, label: string, context: Buffer, length: number): Buffer {
  const info = Buffer.concat([u16(length), vector(u8, Buffer.from(`tls13 ${label}`)), vector(u8, context)]);
  // HKDF-Expand alone: one block is all that is ever asked for.
  return createHmac('sha256', secret).update(info).update(u8(1)).digest().subarray(0, length);
}

/** One direction's record protection. */
export class Keys {
  readonly #secret: Buffer;
  #sequence = 0n;

  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  seal(type: number, body: Buffer): Buffer {
    const header = Buffer.concat([u8(23, 3, 3), u16(body.length + 17)]);
    const cipher = createCipheriv('aes-128-gcm', this.#key(), this.#nonce());
    cipher.setAAD(header);
    return Buffer.concat([
      header,
      cipher.update(Buffer.concat([body, u8(type)])),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }

  open(record: Buffer): { type: number; body: Buffer } {
    const cipher = createDecipheriv('aes-128-gcm', this.#key(), this.#nonce());
    cipher.setAAD(record.subarray(0, 5));
    cipher.setAuthTag(record.subarray(-16));
    const plain = Buffer.concat([cipher.update(record.subarray(5, -16)), cipher.final()]);
    let end = plain.length - 1;
    while (end > 0 && plain[end] === 0) end--;
    return { type: plain[end]!, body: plain.subarray(0, end) };
  }

  finished(transcript: Buffer): Buffer {
    const key = expand(this.#secret, 'finished', Buffer.alloc(0), 32);
    return message(20, createHmac('sha256', key).update(sha256(transcript)).digest());
  }

  #key = () => expand(this.#secret, 'key', Buffer.alloc(0), 16);
  #nonce(): Buffer {
    const nonce = Buffer.from(expand(this.#secret, 'iv', Buffer.alloc(0), 12));
    const counter = Buffer.alloc(12);
    counter.writeBigUInt64BE(this.#sequence++, 4);
    return Buffer.from(nonce.map((byte, index) => byte ^ counter[index]!));
  }
}

export class Schedule {
  #secret = extract(ZERO, ZERO);

  enter(input: Buffer): void {
    this.#secret = extract(expand(this.#secret, 'derived', sha256(Buffer.alloc(0)), 32), input);
  }

  keys(label: string, transcript: Buffer): Keys {
    return new Keys(expand(this.#secret, label, sha256(transcript), 32));
  }
}

// Whole records from a socket, one at a time; undefined at its end.
export async function* recordsOf(socket: Socket): AsyncGenerator<Buffer, void, undefined> {
  let buffer: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of socket) {
      buffer = Buffer.concat([buffer, chunk as Buffer]);
      while (buffer.length >= 5 && buffer.length >= 5 + buffer.readUInt16BE(3)) {
        const length = 5 + buffer.readUInt16BE(3);
        yield buffer.subarray(0, length);
        buffer = buffer.subarray(length);
      }
    }
  } catch {
    // A reset is an end.
  }
}

export const shared = (key: KeyObject, peer: Buffer) =>
  diffieHellman({
    privateKey: key,
    publicKey: createPublicKey({ key: Buffer.concat([X25519_SPKI, peer]), format: 'der', type: 'spki' }),
  });
export const rawPublic = (key: KeyObject) => key.export({ type: 'spki', format: 'der' }).subarray(-32);
