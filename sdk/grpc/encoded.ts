// Messages whose bytes are known already: what goes to a thousand streams is serialised once.
import type { Message } from '@bufbuild/protobuf';
import type { Buffer } from 'node:buffer';

const encodings = new WeakMap<Message, Buffer>();

/** Says what a message is on the wire; its fields do not count any more. */
export function withEncoding<M extends Message>(message: M, bytes: Buffer): M {
  encodings.set(message, bytes);
  return message;
}

/** The bytes that a message was given, if it was. */
export function encodingOf(message: Message): Buffer | undefined {
  return encodings.get(message);
}
