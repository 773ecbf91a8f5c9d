// MySQL begins TLS in the middle of its handshake, and mysql2 leaves no room to verify the server there. So TLS begins in
// here: mysql2 speaks as if there were none, and what it would say is told the server inside TLS. The request for TLS is one
// packet that mysql2 does not know of, so sequence numbers differ by one until the connection phase ends.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { SpiffeError } from '../error.ts';
import { connectTls } from '../tls/connect.ts';
import { DeferredStream, type Channel } from '../tls/deferred-stream.ts';
import type { MutualTlsOptions } from '../tls/options.ts';
import {
  endsConnectionPhase,
  join,
  offersTls,
  PacketReader,
  splitHandshakeResponse,
  withSequence,
  type Packet,
} from './packets.ts';

/** A connection for mysql2. */
export class MysqlStream extends DeferredStream {
  constructor(options: MutualTlsOptions, address: { host: string; port: number }) {
    super();
    this.start(() => this.#open(options, address));
  }

  async #open(options: MutualTlsOptions, { host, port }: { host: string; port: number }): Promise<Channel> {
    const raw = connect(port, host);
    this.once('close', () => raw.destroy());
    await once(raw, 'connect');
    const greeting = await readGreeting(raw);
    this.push(greeting);
    const { sslRequest, response } = splitHandshakeResponse(await this.takeWrite());
    raw.write(sslRequest);
    const socket = await connectTls({ ...options, target: { socket: raw } });
    socket.write(response);
    return { socket, ...sequenceShift() };
  }
}

// One packet and nothing after it: what came along unencrypted could be taken for the server's.
async function readGreeting(raw: Socket): Promise<Packet> {
  const reader = new PacketReader();
  for (;;) {
    const [bytes] = (await Promise.race([once(raw, 'data'), once(raw, 'close').then(() => [])])) as [
      Uint8Array | undefined,
    ];
    if (bytes === undefined) throw new SpiffeError('ERR_TLS', 'the MySQL server closed the connection');
    const [greeting, ...more] = reader.push(bytes);
    if (greeting === undefined) continue;
    raw.pause();
    if (more.length > 0 || reader.takeRest().length > 0 || !offersTls(greeting)) {
      raw.destroy();
      throw new SpiffeError('ERR_TLS', 'the MySQL server does not offer TLS, or refuses us before it');
    }
    return greeting;
  }
}

function sequenceShift(): Required<Pick<Channel, 'toClient' | 'toServer'>> {
  const [fromServer, fromClient] = [new PacketReader(), new PacketReader()];
  let [serverDone, clientDone] = [false, false];
  return {
    toClient(bytes) {
      if (serverDone) return bytes;
      const packets = fromServer.push(bytes).map((packet) => {
        if (serverDone) return packet;
        serverDone = endsConnectionPhase(packet);
        return withSequence(packet, packet[3]! - 1);
      });
      return join(...packets, ...(serverDone ? [fromServer.takeRest()] : []));
    },
    toServer(bytes) {
      // A command begins at zero: from the first on, nothing differs. Large ones come only then.
      if (clientDone || bytes[3] === 0) {
        clientDone = true;
        return bytes;
      }
      return join(...fromClient.push(bytes).map((packet) => withSequence(packet, packet[3]! + 1)));
    },
  };
}
