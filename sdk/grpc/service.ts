// The bridge between protobuf-es and grpc-js: a service description becomes a grpc-js service definition.
import { fromBinary, toBinary, type DescMethod, type DescService, type Message } from '@bufbuild/protobuf';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { Buffer } from 'node:buffer';
import { encodingOf } from './encoded.ts';

/** The grpc-js definition of one method. */
export function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  const serialize = (schema: DescMethod['input']) => (message: Message) => {
    const known = encodingOf(message);
    if (known !== undefined) return known;
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: serialize(method.input),
    // Fields that nobody knows would be kept one object each: a hundred times their size.
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes, { readUnknownFields: false }),
    responseSerialize: serialize(method.output),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

/** The grpc-js definition of a service, keyed by the local (lower camel case) method names. */
export function serviceDefinition(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [method.localName, methodDefinition(method)]),
  ) as ServiceDefinition;
}
