// Whether a certificate is the one that an agent is to use now: the row check of SPIRE's AgentAuthorizer. Pure.
import { PermissionDeniedDetails_Reason as Reason } from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import type { AttestedNode } from '../store/store.ts';

/** The verdict: `activate` allows, and the renewed SVID becomes the current one. */
export type AgentVerdict = 'allow' | 'activate' | Reason;

/** What an agent presented. Times are milliseconds, the serial is decimal. */
export interface AgentCertificate {
  readonly serial: string;
  readonly notAfter: number;
}

export function checkAgent(
  node: AttestedNode | undefined,
  certificate: AgentCertificate,
  now: number,
): AgentVerdict {
  // A connection may outlive the certificate that opened it.
  if (now > certificate.notAfter) return Reason.AGENT_EXPIRED;
  if (node === undefined) return Reason.AGENT_NOT_ATTESTED;
  if (node.serial === '') return Reason.AGENT_BANNED;
  if (certificate.serial === node.serial) return 'allow';
  if (certificate.serial === node.newSerial) return 'activate';
  return Reason.AGENT_NOT_ACTIVE;
}

/** The node after its renewed SVID was used for the first time; undefined if that happened meanwhile. */
export function activated(node: AttestedNode, serial: string): AttestedNode | undefined {
  if (node.newSerial !== serial || node.serial === '') return undefined;
  return { ...node, serial, notAfter: node.newNotAfter, newSerial: '', newNotAfter: 0 };
}
