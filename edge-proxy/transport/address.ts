// Where to listen and to connect: `127.0.0.1:8443`, `[::1]:8443`, `localhost:80` or `unix:/run/app.sock`.

/** A TCP or Unix address. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const TCP = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/;
// Linux: `sun_path` holds 108 bytes with the closing NUL.
const MAX_PATH_BYTES = 107;

/** Reads an address; undefined if it is none. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) {
    const rest = text.slice('unix:'.length);
    const path = rest.startsWith('///') ? rest.slice(2) : rest;
    const fits = new TextEncoder().encode(path).length <= MAX_PATH_BYTES && !path.includes('\0');
    return path.startsWith('/') && !path.startsWith('//') && fits ? { kind: 'unix', path } : undefined;
  }
  const match = TCP.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  return port > 65_535 ? undefined : { kind: 'tcp', host: (match[1] ?? match[2])!, port };
}

/** The address as text that {@link parseAddress} reads. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Whether only this machine can reach it. */
export function isLocal(address: Address): boolean {
  return address.kind === 'unix' || address.host === '::1' || /^127(\.\d{1,3}){3}$/.test(address.host);
}
