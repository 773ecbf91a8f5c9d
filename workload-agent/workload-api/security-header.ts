// The header that keeps a browser or a proxy from being tricked into fetching SVIDs (WE-04, WE-05). It is looked at
// before anything else, attestation included.
import type { Metadata } from '@grpc/grpc-js';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';

const HEADER = 'workload.spiffe.io';

/**
 * Passes a call that has the header exactly once, with the value `true`.
 *
 * @throws RpcError INVALID_ARGUMENT.
 */
export function expectSecurityHeader(metadata: Metadata): void {
  const values = metadata.get(HEADER);
  // A repeated header may reach us as one value, joined by commas; that is not `true` either.
  if (values.length !== 1 || values[0] !== 'true') {
    throw new RpcError('INVALID_ARGUMENT', 'security header missing from request');
  }
}
