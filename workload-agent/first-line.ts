// Reads one line from a stream and leaves the rest, so that a parent can hand over a secret and keep the pipe open.
import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';

const MAX_LINE_BYTES = 4_096;

/**
 * The first line of a stream, without its end.
 *
 * @throws Error if the line is too long; its content is not in the message.
 */
export async function readFirstLine(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('error', onError).pause();
      finish();
    };
    const onData = (chunk: Buffer) => {
      const newline = chunk.indexOf(0x0a);
      chunks.push(newline === -1 ? chunk : chunk.subarray(0, newline));
      length += chunk.length;
      if (newline !== -1) onEnd();
      else if (length > MAX_LINE_BYTES)
        onError(new Error('standard input has no line that could be a join token'));
    };
    const onEnd = () => settle(() => resolve(Buffer.concat(chunks).toString('utf8').trim()));
    const onError = (error: Error) => settle(() => reject(error));
    stream.on('data', onData).on('end', onEnd).on('error', onError);
  });
}
