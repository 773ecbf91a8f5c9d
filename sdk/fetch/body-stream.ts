// The body of a node:http message as a web stream, read no faster than it is taken.
import type { IncomingMessage } from 'node:http';

/** The body. If it ends early, reading fails with what `errorOf` makes of the cause. */
export function bodyStreamOf(
  message: IncomingMessage,
  errorOf: (cause: Error | undefined) => unknown,
): ReadableStream<Uint8Array> {
  let done = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const fail = (cause?: Error) => {
          if (done) return;
          done = true;
          controller.error(errorOf(cause));
        };
        message.on('data', (piece: Uint8Array) => {
          if (done) return;
          controller.enqueue(new Uint8Array(piece));
          if ((controller.desiredSize ?? 0) <= 0) message.pause();
        });
        message.on('end', () => {
          if (done) return;
          if (!message.complete) {
            fail();
            return;
          }
          done = true;
          controller.close();
        });
        message.on('error', fail);
        message.on('close', () => fail());
        message.pause();
      },
      pull: () => void message.resume(),
      cancel() {
        done = true;
        message.destroy();
      },
    },
    { highWaterMark: 1 },
  );
}
