// The part of Bun's socket API that the transport uses, written down so that no Bun types reach the rest.

/** A raw socket, before or after its upgrade to TLS. */
export interface RawSocket {
  data: unknown;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly alpnProtocol: string | false | null;
  /** Bytes taken; -1 if the socket is closed. */
  write(bytes: Uint8Array): number;
  end(): void;
  shutdown(halfClose?: boolean): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  setNoDelay(on: boolean): boolean;
  getPeerCertificate(abbreviated: boolean): unknown;
  /** Throws before the handshake is complete. */
  exportKeyingMaterial(length: number, label: string, context: Uint8Array): Uint8Array;
  upgradeTLS(options: {
    isServer: true;
    tls: RawTlsOptions;
    data: unknown;
    socket: RawHandlers;
  }): [raw: RawSocket, tls: RawSocket];
}

/** Options that fail silently when they are wrong: each value here was tried. */
export interface RawTlsOptions {
  readonly cert: string;
  readonly key: string;
  readonly requestCert: true;
  readonly rejectUnauthorized: false;
  readonly minVersion: 0x0304;
  readonly maxVersion: 0x0304;
  readonly ALPNProtocols: Uint8Array;
  readonly secureOptions: number;
}

/** Socket callbacks. */
export interface RawHandlers {
  open(raw: RawSocket): void;
  handshake(raw: RawSocket, success: boolean, error: (Error & { code?: string }) | null): void;
  data(raw: RawSocket, bytes: Uint8Array): void;
  drain(raw: RawSocket): void;
  end(raw: RawSocket): void;
  close(raw: RawSocket, error?: Error): void;
  error(raw: RawSocket, error: Error): void;
  connectError(raw: RawSocket, error: Error): void;
}

interface RawOptions {
  readonly exclusive?: boolean;
  readonly allowHalfOpen: boolean;
  readonly data?: unknown;
  readonly tls?: RawTlsOptions;
  readonly socket: RawHandlers;
}

type RawAddress = { readonly unix: string } | { readonly hostname: string; readonly port: number };

/** `globalThis.Bun`. */
export interface BunApi {
  listen(options: RawOptions & RawAddress): { readonly port: number; stop(closeActive: boolean): void };
  connect(options: RawOptions & RawAddress): Promise<RawSocket>;
}
