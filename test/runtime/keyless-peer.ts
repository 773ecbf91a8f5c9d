// An attacker who has a certificate chain but not its key: a TLS 1.3 peer (RFC 8446) written by hand, since no TLS
// library lets one present a certificate and sign with another key. It speaks one group (x25519) and one suite
// (AES-128-GCM-SHA256), and everything it does is right but for the signature in CertificateVerify.
import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { connect, createServer, type Server, type Socket } from 'node:net';

import {
  ZERO,
  sha256,
  u8,
  u16,
  u24,
  vector,
  message,
  extension,
  KEY_SHARE,
  VERSIONS,
  shared,
  rawPublic,
  type Keys,
  Schedule,
  recordsOf,
} from './tls13.ts';

/** How the other side took the certificate: it went on as if it were ours, or it refused. */
export type Outcome = { readonly kind: 'believed'; readonly data: string } | { readonly kind: 'refused' };

/** What a peer presents: a chain, and a key that signs for it; without one, a key that is not the chain's. */
export interface Presented {
  readonly certificates: readonly Uint8Array[];
  /** PKCS#8, P-256. With the right one the peer is honest: the control of the experiment. */
  readonly privateKey?: Uint8Array;
}

function certificateMessages(presented: Presented, transcript: Buffer[], side: 'client' | 'server'): void {
  const list = presented.certificates.map((der) => Buffer.concat([vector(u24, Buffer.from(der)), u16(0)]));
  transcript.push(message(11, Buffer.concat([u8(0), vector(u24, Buffer.concat(list))])));
  const privateKey =
    presented.privateKey === undefined
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      : createPrivateKey({ key: Buffer.from(presented.privateKey), format: 'der', type: 'pkcs8' });
  const content = Buffer.concat([
    Buffer.alloc(64, 0x20),
    Buffer.from(`TLS 1.3, ${side} CertificateVerify\0`),
    sha256(Buffer.concat(transcript)),
  ]);
  const signature = sign('sha256', content, privateKey);
  transcript.push(message(15, Buffer.concat([u16(0x0403), vector(u16, signature)])));
}

/** A server that presents a chain to every client and tells how each took it. */
export function keylessServer(presented: Presented, onOutcome: (outcome: Outcome) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    serveOne(socket, presented).then(onOutcome, () => onOutcome({ kind: 'refused' }));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function serveOne(socket: Socket, presented: Presented): Promise<Outcome> {
  const records = recordsOf(socket);
  const hello = (await records.next()).value as Buffer;
  const clientHello = hello.subarray(5);
  const { session, keyShare } = readClientHello(clientHello);
  const own = generateKeyPairSync('x25519');
  const serverHello = message(
    2,
    Buffer.concat([
      u16(0x0303),
      randomBytes(32),
      vector(u8, session),
      u16(0x1301),
      u8(0),
      vector(
        u16,
        Buffer.concat([
          extension(VERSIONS, u16(0x0304)),
          extension(KEY_SHARE, Buffer.concat([u16(0x001d), vector(u16, rawPublic(own.publicKey))])),
        ]),
      ),
    ]),
  );
  const transcript: Buffer[] = [clientHello, serverHello];
  const schedule = new Schedule();
  schedule.enter(shared(own.privateKey, keyShare));
  const theirs = schedule.keys('c hs traffic', Buffer.concat(transcript));
  const ours = schedule.keys('s hs traffic', Buffer.concat(transcript));
  const flight: Buffer[] = [message(8, u16(0))];
  transcript.push(flight[0]!);
  certificateMessages(presented, transcript, 'server');
  flight.push(...transcript.slice(3));
  const finished = ours.finished(Buffer.concat(transcript));
  transcript.push(finished);
  socket.write(
    Buffer.concat([
      u8(22, 3, 3),
      vector(u16, serverHello),
      u8(20, 3, 3, 0, 1, 1),
      ours.seal(22, Buffer.concat([...flight, finished])),
    ]),
  );
  schedule.enter(ZERO);
  const application = schedule.keys('c ap traffic', Buffer.concat(transcript));
  let reading = theirs;
  let done = false;
  for await (const record of records) {
    if (record[0] === 20) continue;
    if (record[0] !== 23) return { kind: 'refused' };
    const { type, body } = reading.open(record);
    if (type === 23) return { kind: 'believed', data: body.toString() };
    if (type === 21) return { kind: 'refused' };
    if (!done) [reading, done] = [application, true];
  }
  return { kind: 'refused' };
}

function readClientHello(bytes: Buffer): { session: Buffer; keyShare: Buffer } {
  let at = 4 + 2 + 32;
  const session = bytes.subarray(at + 1, at + 1 + bytes[at]!);
  at += 1 + session.length;
  at += 2 + bytes.readUInt16BE(at);
  at += 1 + bytes[at]!;
  for (const [type, body] of extensionsOf(bytes.subarray(at + 2))) {
    if (type !== KEY_SHARE) continue;
    for (const [group, key] of extensionsOf(body.subarray(2)))
      if (group === 0x001d) return { session, keyShare: key };
  }
  throw new Error('the client offers no x25519 key');
}

// Extensions and key shares have the same shape: a type, a length, a body.
function* extensionsOf(bytes: Buffer): Generator<[type: number, body: Buffer]> {
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 2);
    yield [bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length)];
    at += 4 + length;
  }
}

/** A client that presents a chain, sends `data`, and tells whether the server answered it. */
export async function keylessClient(port: number, presented: Presented, data: string): Promise<Outcome> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  const own = generateKeyPairSync('x25519');
  const clientHello = helloOf(rawPublic(own.publicKey));
  socket.write(Buffer.concat([u8(22, 3, 1), vector(u16, clientHello)]));
  const records = recordsOf(socket);
  const schedule = new Schedule();
  const transcript: Buffer[] = [clientHello];
  let [theirs, ours]: [Keys | undefined, Keys | undefined] = [undefined, undefined];
  let pending: Buffer = Buffer.alloc(0);
  let done = false;
  try {
    for await (const record of records) {
      if (record[0] === 20) continue;
      if (record[0] === 22) {
        const serverHello = record.subarray(5);
        transcript.push(serverHello);
        schedule.enter(shared(own.privateKey, serverShareOf(serverHello)));
        theirs = schedule.keys('s hs traffic', Buffer.concat(transcript));
        ours = schedule.keys('c hs traffic', Buffer.concat(transcript));
        continue;
      }
      if (record[0] !== 23) return { kind: 'refused' };
      const { type, body } = theirs!.open(record);
      if (type === 21) return { kind: 'refused' };
      if (type === 23) return { kind: 'believed', data: body.toString() };
      if (done) continue; // session tickets
      pending = Buffer.concat([pending, body]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readUIntBE(1, 3)) {
        const one = pending.subarray(0, 4 + pending.readUIntBE(1, 3));
        pending = pending.subarray(one.length);
        transcript.push(one);
        if (one[0] !== 20) continue;
        done = true;
        schedule.enter(ZERO);
        theirs = schedule.keys('s ap traffic', Buffer.concat(transcript));
        const application = schedule.keys('c ap traffic', Buffer.concat(transcript));
        const before = transcript.length;
        certificateMessages(presented, transcript, 'client');
        const flight = [...transcript.slice(before), ours!.finished(Buffer.concat(transcript))];
        socket.write(
          Buffer.concat([ours!.seal(22, Buffer.concat(flight)), application.seal(23, Buffer.from(data))]),
        );
      }
    }
  } finally {
    socket.destroy();
  }
  return { kind: 'refused' };
}

function helloOf(key: Buffer): Buffer {
  return message(
    1,
    Buffer.concat([
      u16(0x0303),
      randomBytes(32),
      vector(u8, randomBytes(32)),
      vector(u16, u16(0x1301)),
      vector(u8, u8(0)),
      vector(
        u16,
        Buffer.concat([
          extension(VERSIONS, vector(u8, u16(0x0304))),
          extension(10, vector(u16, u16(0x001d))),
          extension(13, vector(u16, u16(0x0403))),
          extension(16, vector(u16, vector(u8, Buffer.from('http/1.1')))),
          extension(KEY_SHARE, vector(u16, Buffer.concat([u16(0x001d), vector(u16, key)]))),
        ]),
      ),
    ]),
  );
}

function serverShareOf(hello: Buffer): Buffer {
  const at = 4 + 2 + 32;
  const extensions = at + 1 + hello[at]! + 3;
  for (const [type, body] of extensionsOf(hello.subarray(extensions + 2))) {
    if (type === KEY_SHARE) return body.subarray(4);
  }
  throw new Error('the server sent no key share');
}
