// SPIRE's wire by its numbers: messages are written and read here field by field, and not by our generated code, which
// could be wrong on both sides alike.
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { pemOf } from '../sdk/x509-svid/pem.ts';
import { AUTHORIZATION } from './api/authorization.ts';
import { startTestServer, type TestServer } from './testing.ts';

type Fields = Map<number, (bigint | Uint8Array)[]>;

const message = (build: (writer: BinaryWriter) => void): Uint8Array => {
  const writer = new BinaryWriter();
  build(writer);
  return writer.finish();
};
const bytes = (writer: BinaryWriter, field: number, value: Uint8Array | string) =>
  writer.tag(field, WireType.LengthDelimited).bytes(typeof value === 'string' ? Buffer.from(value) : value);
const number = (writer: BinaryWriter, field: number, value: number) =>
  writer.tag(field, WireType.Varint).int64(value);

function read(encoded: Uint8Array): Fields {
  const reader = new BinaryReader(encoded);
  const fields: Fields = new Map();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const value = type === WireType.Varint ? BigInt(reader.int64()) : reader.bytes();
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}
const text = (fields: Fields, field: number) => Buffer.from(fields.get(field)![0] as Uint8Array).toString();
const inner = (fields: Fields, field: number) => read(fields.get(field)![0] as Uint8Array);

const identity = (value: Uint8Array) => Buffer.from(value);
const call = (client: Client, path: string, request: Uint8Array): Promise<Fields> =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, identity, identity, request, (error, answer) => {
      if (error) reject(error);
      else resolve(read(answer!));
    });
  });
const localClient = (server: TestServer) =>
  new Client(`unix:${server.server.socketPath}`, credentials.createInsecure());

test('token, entry, attestation and SVID by field numbers', async () => {
  await using server = await startTestServer();
  const local = localClient(server);
  const AGENT = '/spire.api.server.agent.v1.Agent';
  const token = await call(
    local,
    `${AGENT}/CreateJoinToken`,
    message((writer) => void number(writer, 1, 600)),
  );
  expect(token.get(2)![0]).toBeGreaterThan(BigInt(Math.floor(Date.now() / 1_000)) + 590n);

  const bundle = await call(local, '/spire.api.server.bundle.v1.Bundle/GetBundle', new Uint8Array());
  expect(text(bundle, 1)).toBe('example.org');
  const root = inner(bundle, 2).get(1)![0] as Uint8Array;
  expect(bundle.get(5)).toEqual([2n]);

  const tls = (key: Buffer | null, chain: Buffer | null) =>
    new Client(
      `127.0.0.1:${server.server.port}`,
      credentials.createSsl(Buffer.from(pemOf('CERTIFICATE', [root])), key, chain, {
        checkServerIdentity: () => undefined,
      }),
      { 'grpc.ssl_target_name_override': 'spire-server' },
    );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const attest = message((writer) => {
    const data = message((w) => void bytes(bytes(w, 1, 'join_token'), 2, text(token, 1)));
    const params = message((w) => void bytes(w, 1, createCsr(privateKey)));
    bytes(
      writer,
      1,
      message((w) => void bytes(bytes(w, 1, data), 2, params)),
    );
  });
  const anonymous = tls(null, null);
  const stream = anonymous.makeBidiStreamRequest(`${AGENT}/AttestAgent`, identity, identity);
  stream.end(attest);
  const answers: Fields[] = [];
  for await (const answer of stream) answers.push(read(answer as Uint8Array));
  expect(answers).toHaveLength(1);
  // AttestAgentResponse.result = 1, Result.svid = 1; Result.reattestable = 2 is false and so absent.
  const result = inner(answers[0]!, 1);
  expect(result.has(2)).toBe(false);
  const svid = inner(result, 1);
  const agentPath = text(inner(svid, 2), 2);
  expect(text(inner(svid, 2), 1)).toBe('example.org');
  expect(svid.get(1)).toHaveLength(1);

  const id = (path: string) => message((w) => void bytes(bytes(w, 1, 'example.org'), 2, path));
  const selector = message((w) => void bytes(bytes(w, 1, 'unix'), 2, 'uid:1'));
  const entry = message((w) => void bytes(bytes(bytes(w, 2, id('/web')), 3, id(agentPath)), 4, selector));
  const created = await call(
    local,
    '/spire.api.server.entry.v1.Entry/BatchCreateEntry',
    message((w) => void bytes(w, 1, entry)),
  );
  const createdResult = inner(created, 1);
  // Status.code = 1 is 0 and so absent.
  expect([inner(createdResult, 1).has(1), text(inner(createdResult, 1), 2)]).toEqual([false, 'OK']);
  const entryId = text(inner(createdResult, 2), 1);

  const key = Buffer.from(pemOf('PRIVATE KEY', [privateKey.export({ type: 'pkcs8', format: 'der' })]));
  const chain = Buffer.from(pemOf('CERTIFICATE', svid.get(1) as Uint8Array[]));
  const agent = tls(key, chain);
  const param = message((w) => void bytes(bytes(w, 1, entryId), 2, createCsr(privateKey)));
  const signed = await call(
    agent,
    '/spire.api.server.svid.v1.SVID/BatchNewX509SVID',
    message((w) => void bytes(w, 1, param)),
  );
  expect(text(inner(inner(inner(signed, 1), 2), 2), 2)).toBe('/web');
  for (const client of [local, anonymous, agent]) client.close();
});

test('random bytes to every method: an answer or an error, and the server lives', async () => {
  await using server = await startTestServer();
  const local = localClient(server);
  const codes = new Set<string>();
  for (const path of AUTHORIZATION.keys()) {
    for (let round = 0; round < 5; round++) {
      const failed = await call(local, path, randomBytes(round * 40)).catch((error: unknown) => error);
      if (failed instanceof Error) codes.add(status[(failed as ServiceError).code]);
    }
  }
  expect(codes.has('UNKNOWN')).toBe(false);
  const bundle = await call(local, '/spire.api.server.bundle.v1.Bundle/GetBundle', new Uint8Array());
  expect(text(bundle, 1)).toBe('example.org');
  expect(server.lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  local.close();
});
