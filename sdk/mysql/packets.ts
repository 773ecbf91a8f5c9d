// Packets of MySQL's protocol ("MySQL Packets"): three bytes of length, one of sequence, a payload. Pure.
import { SpiffeError } from '../error.ts';

/** A whole packet, header included. */
export type Packet = Uint8Array;

const HEADER = 4;
// No packet of the connection phase comes near this.
const MAX_BYTES = 65_536;

/** Takes whole packets out of bytes that come in pieces. */
export class PacketReader {
  #rest = new Uint8Array(0);

  /**
   * The packets that are complete now.
   *
   * @throws SpiffeError `ERR_TLS` if one is too large for the connection phase.
   */
  push(bytes: Uint8Array): Packet[] {
    let view = join(this.#rest, bytes);
    const packets: Packet[] = [];
    while (view.length >= HEADER) {
      const length = HEADER + (view[0]! | (view[1]! << 8) | (view[2]! << 16));
      if (length > MAX_BYTES)
        throw new SpiffeError('ERR_TLS', 'the MySQL server sent a packet that is too large');
      if (view.length < length) break;
      packets.push(view.slice(0, length));
      view = view.subarray(length);
    }
    this.#rest = view.slice();
    return packets;
  }

  /** Bytes that belong to no whole packet yet; they are handed over and forgotten. */
  takeRest(): Uint8Array {
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    return rest;
  }
}

/** A packet with another sequence number. */
export function withSequence(packet: Packet, sequence: number): Packet {
  const copy = packet.slice();
  copy[3] = sequence & 255;
  return copy;
}

/** The bytes of several arrays, one after the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const CLIENT_SSL = 0x0800;

/** Whether a server's greeting ("Protocol::HandshakeV10") offers TLS. */
export function offersTls(greeting: Packet): boolean {
  const payload = greeting.subarray(HEADER);
  const versionEnd = payload.indexOf(0, 1);
  if (payload[0] !== 10 || versionEnd === -1) return false;
  // After the version: 4 bytes of thread ID, 8 of scramble, 1 of filler, then the low capabilities.
  const at = versionEnd + 1 + 13;
  return at + 1 < payload.length && ((payload[at]! | (payload[at + 1]! << 8)) & CLIENT_SSL) !== 0;
}

const SSL_REQUEST_PAYLOAD = 32;

/**
 * Splits a driver's "Protocol::HandshakeResponse41" into the request for TLS, its first 32 bytes, and the response itself
 * as it is sent inside TLS, one sequence number later. Both say CLIENT_SSL.
 *
 * @throws TypeError if the driver sent something else.
 */
export function splitHandshakeResponse(packet: Packet): { sslRequest: Packet; response: Packet } {
  if (packet.length < HEADER + SSL_REQUEST_PAYLOAD || packet[3] !== 1)
    throw new TypeError('expected the handshake response of a MySQL 4.1 client; leave the option ssl out');
  const response = withSequence(packet, 2);
  response[HEADER + 1]! |= CLIENT_SSL >> 8;
  const sslRequest = join(
    Uint8Array.of(SSL_REQUEST_PAYLOAD, 0, 0, 1),
    response.subarray(HEADER, HEADER + SSL_REQUEST_PAYLOAD),
  );
  return { sslRequest, response };
}

/** Whether a server's packet ends the connection phase: OK or ERR. */
export function endsConnectionPhase(packet: Packet): boolean {
  return packet[HEADER] === 0x00 || packet[HEADER] === 0xff;
}
