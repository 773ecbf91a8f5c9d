// Rotation as a peer sees it: over real TLS, by the server's own timers.
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { Bundle } from '../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { startTestServer } from './testing.ts';

function serialOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const socket = connect(options, () => {
      const { serialNumber } = socket.getPeerCertificate(true);
      socket.destroy();
      resolve(serialNumber);
    });
    socket.once('error', reject);
  });
}

test('new connections see a new certificate, and those that stand go on', async () => {
  await using server = await startTestServer({ config: { default_x509_svid_ttl: '3s' } });
  const client = await server.connect();
  await client.unary(Bundle.method.getBundle, {});
  const first = await serialOf(server.server.port);
  let serial = first;
  while (serial === first) serial = await serialOf(server.server.port);
  expect((await client.unary(Bundle.method.getBundle, {})).sequenceNumber).toBe(2n);
});
