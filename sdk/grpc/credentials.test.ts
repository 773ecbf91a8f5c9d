// gRPC calls between real servers and clients on loopback.
import { Server, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { Message } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { JWTSVIDResponseSchema, SpiffeWorkloadAPI } from '../api/gen/spiffe/workload/workload_pb.ts';
import { authorizeAny, authorizeId, createTlsServer, type Authorizer } from '../tls/index.ts';
import { FixedSource, listening } from '../tls/testing.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { GrpcClient } from './client.ts';
import { peerOfCall, serveGrpc } from './credentials-server.ts';
import { grpcClientCredentials } from './credentials.ts';
import { serviceDefinition } from './service.ts';

let authority: TestAuthority;
let other: TestAuthority;
let serverSvid: X509Svid;
let clientSvid: X509Svid;
const toClose: (() => unknown)[] = [];

beforeAll(async () => {
  [authority, other] = await Promise.all([testAuthority(), testAuthority()]);
  [serverSvid, clientSvid] = await Promise.all([authority.issue('/server'), authority.issue('/client')]);
});
afterEach(() => {
  for (const close of toClose.splice(0)) close();
});

// Any service will do: this one answers with the caller's ID.
async function serve(authorize: Authorizer = authorizeAny()) {
  const source = new FixedSource(serverSvid, authority.bundles);
  const server = new Server();
  server.addService(serviceDefinition(SpiffeWorkloadAPI), {
    fetchJWTSVID(call: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) {
      done(null, create(JWTSVIDResponseSchema, { svids: [{ spiffeId: peerOfCall(call).id, svid: 'x' }] }));
    },
  });
  const guarded = serveGrpc(server, { source, authorize });
  toClose.push(() => (guarded.close(), server.forceShutdown()));
  return { guarded, source, port: await listening(guarded) };
}

function client(port: number, over: { source?: FixedSource; authorize?: Authorizer } = {}) {
  const source = over.source ?? new FixedSource(clientSvid, authority.bundles);
  const authorize = over.authorize ?? authorizeId(authority.id('/server'));
  const grpc = new GrpcClient(`127.0.0.1:${port}`, grpcClientCredentials({ source, authorize }), {
    'grpc.initial_reconnect_backoff_ms': 100,
  });
  toClose.push(() => grpc.close());
  const call = async () => {
    const request = { audience: ['x'] };
    const answer = await grpc.unary(SpiffeWorkloadAPI.method.fetchJWTSVID, request, { timeout: 3_000 });
    return answer.svids[0]!.spiffeId;
  };
  return { call, source };
}

describe('gRPC', () => {
  it('calls a verified server by its IP address, which learns who calls', async () => {
    const { port } = await serve();
    const { call } = client(port);
    expect(await call()).toBe(authority.id('/client'));
    expect(await call()).toBe(authority.id('/client'));
    expect(() => peerOfCall({ getPeer: () => 'nobody' })).toThrow(TypeError);
  });

  it('refuses a server with another ID before a byte leaves', async () => {
    let bytes = 0;
    const source = new FixedSource(serverSvid, authority.bundles);
    const trap = createTlsServer({ source, authorize: authorizeAny(), alpn: ['h2'] }, (socket) => {
      socket.on('data', (piece) => (bytes += piece.length));
    });
    toClose.push(() => trap.close());
    const { call } = client(await listening(trap), { authorize: authorizeId(authority.id('/other')) });
    await expect(call()).rejects.toMatchObject({ code: status.UNAVAILABLE });
    expect(bytes).toBe(0);
  });

  it('refuses a client that is not accepted, or not trusted', async () => {
    const { port, guarded } = await serve(authorizeId(authority.id('/friend')));
    await expect(client(port).call()).rejects.toMatchObject({ code: status.UNAVAILABLE });
    const stranger = new FixedSource(await other.issue('/friend'), authority.bundles);
    await expect(client(port, { source: stranger }).call()).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
    expect(guarded.connections.size).toBe(0);
  });

  it('follows rotations of leaf and CA, and ends connections of a withdrawn CA', async () => {
    const { port, source: theirs, guarded } = await serve();
    const { call, source: ours } = client(port);
    await call();
    const both = {
      x509Bundle: (name: Parameters<typeof authority.bundles.x509Bundle>[0]) => ({
        trustDomain: name,
        authorities: [authority.certificate, other.certificate],
      }),
    };
    for (const source of [theirs, ours]) source.set({ bundles: both });
    theirs.set({ svid: await other.issue('/server') });
    ours.set({ svid: await other.issue('/client') });
    expect(await call()).toBe(authority.id('/client'));
    const [old] = guarded.connections;
    for (const source of [theirs, ours]) source.set({ bundles: other.bundles });
    await eventually(() => old!.destroyed);
    await eventually(() => call().catch(() => undefined));
    expect(guarded.connections.size).toBe(1);
  });

  it('needs an authorizer, and an SVID', async () => {
    const { port } = await serve();
    const source = new FixedSource(new Error('no identity'), authority.bundles);
    await expect(client(port, { source }).call()).rejects.toMatchObject({ code: status.UNAVAILABLE });
    const nobody = undefined as unknown as Authorizer;
    expect(() => grpcClientCredentials({ source, authorize: nobody })).toThrow(TypeError);
    expect(() => serveGrpc(new Server(), { source, authorize: authorizeAny() })).toThrow('no identity');
  });
});
