// Base64 in its two spellings (RFC 4648 4 and 5), read strictly: the right alphabet, the right padding, no spare bits.
// The runtimes' own decoders skip what they do not know, so one value would have many spellings.
import { Buffer } from 'node:buffer';

/** Base64url without padding (RFC 7515 2). */
export function base64urlOf(bytes: Uint8Array | string): string {
  return (typeof bytes === 'string' ? Buffer.from(bytes) : view(bytes)).toString('base64url');
}

/** Standard base64 with padding (RFC 4648 4). */
export function base64Of(bytes: Uint8Array): string {
  return view(bytes).toString('base64');
}

/** The bytes of base64url without padding, or undefined if the text is not its one spelling. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** The bytes of standard base64 with padding, or undefined if the text is not its one spelling. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
