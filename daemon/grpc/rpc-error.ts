// An error that a caller is meant to see: a gRPC status with, if need be, typed details.
import { create, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { StatusSchema } from '../../sdk/api/gen/google/rpc/status_pb.ts';

/** Names of gRPC status codes, as in `status.NOT_FOUND`. */
export type RpcCode = keyof typeof status;

/** Thrown by a handler to answer with a status. Everything else a handler throws becomes INTERNAL. */
export class RpcError extends Error {
  readonly code: RpcCode;
  readonly details: readonly { schema: DescMessage; message: MessageShape<DescMessage> }[];

  constructor(
    code: RpcCode,
    message: string,
    details: readonly { schema: DescMessage; message: MessageShape<DescMessage> }[] = [],
  ) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
    this.details = details;
  }

  /** The number of the code. */
  get number(): status {
    return status[this.code];
  }

  /** The grpc-js form; details travel in the `grpc-status-details-bin` trailer as google.rpc.Status. */
  toStatus(): StatusObject {
    const metadata = new Metadata();
    if (this.details.length > 0) {
      const rich = create(StatusSchema, {
        code: this.number,
        message: this.message,
        details: this.details.map(({ schema, message }) => anyPack(schema, message)),
      });
      metadata.set('grpc-status-details-bin', Buffer.from(toBinary(StatusSchema, rich)));
    }
    return { code: this.number, details: this.message, metadata };
  }
}
