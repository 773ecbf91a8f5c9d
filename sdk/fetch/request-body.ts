// What is sent as the body of a request: bytes that can be sent again, or a stream that cannot.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { ClientRequest } from 'node:http';

/** A body. `undefined`: there is none. */
export type RequestBody = Uint8Array | ReadableStream<Uint8Array> | undefined;

/** The body of a request: streams stay streams, everything else becomes bytes, whose length can be declared. */
export async function requestBodyOf(request: Request, isStream: boolean): Promise<RequestBody> {
  if (request.body === null) return undefined;
  return isStream ? request.body : new Uint8Array(await request.arrayBuffer());
}

/** Writes the body and ends the request. Rejects if the stream fails; the request is then destroyed. */
export async function sendBody(request: ClientRequest, body: RequestBody): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body === undefined ? undefined : Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    return;
  }
  const reader = body.getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (request.destroyed) break;
      if (!request.write(piece.value)) await Promise.race([once(request, 'drain'), once(request, 'close')]);
    }
    request.end();
  } catch (error) {
    request.destroy(error as Error);
    throw error;
  } finally {
    // Whoever feeds a stream that is no longer wanted is told.
    reader.cancel().catch(() => undefined);
  }
}
