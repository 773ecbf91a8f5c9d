// Raw sockets on both ends of a proxy: a client that sends exact bytes, and an application that shows what it received.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Buffer } from 'node:buffer';
import type { Address } from '../transport/address.ts';

/** A response as it was read off a socket. */
export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A client connection. */
export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far, as Latin-1. */
  received(): string;
  send(bytes: string): void;
  /** The next response to a request of the given method. */
  response(method?: string): Promise<RawResponse>;
  /** Resolves when the other side has ended the connection. */
  closed: Promise<void>;
}

/** Connects without TLS. */
export async function rawClient(address: Address): Promise<RawClient> {
  const target =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  const socket = connect(target);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return rawClientOver(socket);
}

/** A client over a socket that is connected. */
export function rawClientOver(socket: Socket): RawClient {
  const pieces: Buffer[] = [];
  let all = Buffer.alloc(0);
  let length = 0;
  let read = 0;
  let needed = 0; // what a response is known to take: large ones are not parsed again at each piece
  let ended = false;
  let wake: () => void = () => undefined;
  socket.on('data', (bytes: Buffer) => {
    pieces.push(bytes);
    length += bytes.length;
    if (length >= needed) wake();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    const end = () => {
      ended = true;
      wake();
      resolve();
    };
    socket.once('end', end);
    socket.once('close', end);
  });
  const joined = () => {
    all = Buffer.concat([all, ...pieces.splice(0)]);
    return all;
  };
  const parse = (method: string) => {
    joined();
    const result = parseResponse(all.subarray(read), method, ended);
    if (typeof result === 'number') needed = read + result;
    if (typeof result !== 'object') return undefined;
    read += result.length;
    return result;
  };
  return {
    socket,
    closed,
    received: () => joined().toString('latin1'),
    send: (bytes) => void socket.write(Buffer.from(bytes, 'latin1')),
    async response(method = 'GET') {
      for (;;) {
        const result = parse(method);
        if (result !== undefined) return result.response;
        if (ended)
          throw new Error(
            `the connection ended after ${JSON.stringify(all.subarray(read).toString('latin1'))}`,
          );
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function parseResponse(bytes: Buffer, method: string, ended: boolean) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(statusLine!.split(' ')[1]);
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
  );
  const rest = bytes.subarray(end + 4);
  const done = (body: string, used: number) => ({
    response: { status, headers, body },
    length: end + 4 + used,
  });
  if (status < 200 || method === 'HEAD' || status === 204 || status === 304) return done('', 0);
  if (headers.get('transfer-encoding') === 'chunked') return parseChunks(rest, done);
  const length = headers.get('content-length');
  if (length === undefined) return ended ? done(rest.toString('latin1'), rest.length) : undefined;
  if (rest.length < Number(length)) return end + 4 + Number(length);
  return done(rest.toString('latin1', 0, Number(length)), Number(length));
}

function parseChunks<T>(bytes: Buffer, done: (body: string, used: number) => T): T | undefined {
  let at = 0;
  let body = '';
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line === -1) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    at = line + 2;
    if (size === 0) {
      const end = bytes.indexOf('\r\n', at);
      // Trailers, if any, end with an empty line.
      const finish = end === at ? at + 2 : bytes.indexOf('\r\n\r\n', at) + 4;
      return end === -1 || finish === 3 ? undefined : done(body, finish);
    }
    if (bytes.length < at + size + 2) return undefined;
    body += bytes.toString('latin1', at, at + size);
    at += size + 2;
  }
}

/** An application that answers each connection by `serve`, and remembers all it received. */
export interface RawApplication {
  readonly address: Address;
  /** One entry a connection. */
  readonly received: string[];
  /** Those that are open. */
  readonly sockets: ReadonlySet<Socket>;
  close(): void;
}

/** Serves raw bytes: `serve` is called with what a connection received so far, whenever more came. */
export async function rawApplication(
  serve: (received: string, socket: Socket, index: number) => void,
  path?: string,
): Promise<RawApplication> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    const index = received.push('') - 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('end', () => socket.end());
    socket.on('data', (bytes) => {
      received[index] += bytes.toString('latin1');
      serve(received[index]!, socket, index);
    });
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const port = (server.address() as AddressInfo | null)?.port ?? 0;
  return {
    address: path === undefined ? { kind: 'tcp', host: '127.0.0.1', port } : { kind: 'unix', path },
    received,
    sockets,
    close,
  };
}

/** An application that answers every request without a body with 200 and a fixed text. */
export function helloApplication(path?: string): Promise<RawApplication> {
  const answered = new Map<Socket, number>();
  return rawApplication((received, socket) => {
    const heads = received.split('\r\n\r\n').length - 1;
    for (let count = answered.get(socket) ?? 0; count < heads; count++) {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-App: yes\r\n\r\nhello');
    }
    answered.set(socket, heads);
  }, path);
}
