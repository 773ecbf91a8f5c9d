// Minting within a scope, and foreign trust domains: whose bundle somebody sets, in whose name he can speak.
import {
  BatchDeleteFederatedBundleRequest_Mode as Mode,
  type BatchDeleteFederatedBundleRequest,
} from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import type {
  MintJWTSVIDRequest,
  MintX509SVIDRequest,
} from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { parseTrustDomain, trustDomainOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { failure, reading, workloadIdOf, type Status } from '../api/convert.ts';
import { mintOrderOf } from '../api/csr.ts';
import { identityRefusalOf } from './judge-entry.ts';
import { expectNoRefusal, itemwise, outside, pass, type Rule, type ScopedCall } from './scoped-call.ts';

const mintX509SVID: Rule = async (call) => {
  const { options, scope, reach } = call;
  const order = mintOrderOf((call.request as MintX509SVIDRequest).csr, options.trustDomain);
  expectNoRefusal(identityRefusalOf(order.id, scope, reach));
  const dnsName = order.dnsNames.find((name) => !scope.coversDnsName(name));
  if (dnsName !== undefined) throw outside(`the DNS name ${dnsName} is outside of your scope`);
  // Some take the common name for a DNS name.
  if (order.subject !== undefined) throw outside('within a scope, a CSR must have an empty subject');
  return call.next(call.request);
};

const mintToken: Rule = async (call) => {
  const { options, scope, reach } = call;
  const { id } = call.request as MintJWTSVIDRequest;
  const workload = reading('invalid SPIFFE ID', () => workloadIdOf(id, options.trustDomain));
  expectNoRefusal(identityRefusalOf(workload, scope, reach));
  return call.next(call.request);
};

/** The rules of the SVID service. */
export const SVID_RULES: Readonly<Record<string, Rule>> = {
  mintX509SVID,
  mintJWTSVID: mintToken,
  mintWITSVID: mintToken,
};

interface Foreign {
  readonly trustDomain: string;
}

// An administrator from abroad is known by his trust domain's bundle: who sets that can be him.
function isOfAdministrator(name: string, { options }: ScopedCall): boolean {
  let trustDomain: TrustDomain;
  try {
    trustDomain = parseTrustDomain(name);
  } catch {
    // The handler says what is wrong with it.
    return false;
  }
  return [...options.administrators].some((id) => trustDomainOf(id) === trustDomain);
}

function foreignBatch(field: string): Rule {
  return async (call) => {
    const request = call.request as Readonly<Record<string, readonly (Foreign | string)[]>>;
    const refuse = (item: Foreign | string): { status: Status } | undefined => {
      const name = typeof item === 'string' ? item : item.trustDomain;
      if (!isOfAdministrator(name, call)) return undefined;
      return { status: failure('PERMISSION_DENIED', `administrators are of the trust domain ${name}`) };
    };
    const results = await itemwise(request[field] ?? [], refuse, async (items) => {
      const answer = (await call.next({ ...request, [field]: items })) as { results: { status: Status }[] };
      return answer.results;
    });
    return { results };
  };
}

// To take a bundle away from entries, or the entries with it, changes entries that are not in the scope.
const batchDeleteFederatedBundle: Rule = async (call) => {
  if ((call.request as BatchDeleteFederatedBundleRequest).mode !== Mode.RESTRICT) {
    throw outside('within a scope, bundles are deleted in mode RESTRICT alone');
  }
  return foreignBatch('trustDomains')(call);
};

/** The rules of the Bundle service. */
export const BUNDLE_RULES: Readonly<Record<string, Rule>> = {
  countBundles: pass,
  listFederatedBundles: pass,
  getFederatedBundle: pass,
  batchCreateFederatedBundle: foreignBatch('bundle'),
  batchUpdateFederatedBundle: foreignBatch('bundle'),
  batchSetFederatedBundle: foreignBatch('bundle'),
  batchDeleteFederatedBundle,
};

/** The rules of the TrustDomain service. */
export const TRUST_DOMAIN_RULES: Readonly<Record<string, Rule>> = {
  listFederationRelationships: pass,
  getFederationRelationship: pass,
  batchCreateFederationRelationship: foreignBatch('federationRelationships'),
  batchUpdateFederationRelationship: foreignBatch('federationRelationships'),
  batchDeleteFederationRelationship: foreignBatch('trustDomains'),
  refreshBundle: pass,
};
