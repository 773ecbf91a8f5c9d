// Who may call what: SPIRE's default policy as a table, for every RPC of every service, also those that are not served
// yet. Pure. A method that is not here is denied.

/** Classes of caller, in the order in which they are looked for. `any` needs no identity at all. */
export type CallerClass = 'any' | 'local' | 'admin' | 'downstream' | 'agent';

const ANY = ['any'] as const;
const LOCAL = ['local'] as const;
const OPERATOR = ['local', 'admin'] as const;
const AGENT = ['agent'] as const;
const DOWNSTREAM = ['downstream'] as const;

type Methods = Readonly<Record<string, readonly CallerClass[]>>;

const SERVICES: Readonly<Record<string, Methods>> = {
  'spire.api.server.svid.v1.SVID': {
    MintX509SVID: OPERATOR,
    MintJWTSVID: OPERATOR,
    MintWITSVID: OPERATOR,
    BatchNewX509SVID: AGENT,
    NewJWTSVID: AGENT,
    BatchNewWITSVID: AGENT,
    NewDownstreamX509CA: DOWNSTREAM,
  },
  'spire.api.server.bundle.v1.Bundle': {
    GetBundle: ANY,
    AppendBundle: OPERATOR,
    PublishJWTAuthority: DOWNSTREAM,
    PublishWITAuthority: DOWNSTREAM,
    CountBundles: OPERATOR,
    ListFederatedBundles: OPERATOR,
    GetFederatedBundle: ['local', 'admin', 'agent'],
    BatchCreateFederatedBundle: OPERATOR,
    BatchUpdateFederatedBundle: OPERATOR,
    BatchSetFederatedBundle: OPERATOR,
    BatchDeleteFederatedBundle: OPERATOR,
  },
  'spire.api.server.debug.v1.Debug': { GetInfo: LOCAL },
  'spire.api.server.entry.v1.Entry': {
    CountEntries: OPERATOR,
    ListEntries: OPERATOR,
    GetEntry: OPERATOR,
    BatchCreateEntry: OPERATOR,
    BatchUpdateEntry: OPERATOR,
    BatchDeleteEntry: OPERATOR,
    GetAuthorizedEntries: AGENT,
    SyncAuthorizedEntries: AGENT,
  },
  'spire.api.server.logger.v1.Logger': { GetLogger: LOCAL, SetLogLevel: LOCAL, ResetLogLevel: LOCAL },
  'spire.api.server.agent.v1.Agent': {
    CountAgents: OPERATOR,
    ListAgents: OPERATOR,
    GetAgent: OPERATOR,
    DeleteAgent: OPERATOR,
    BanAgent: OPERATOR,
    AttestAgent: ANY,
    RenewAgent: AGENT,
    PostStatus: AGENT,
    CreateJoinToken: OPERATOR,
  },
  'sigil.sync.v1.Sync': { Watch: AGENT },
  'sigil.explain.v1.Explain': { ExplainEntries: OPERATOR },
  'grpc.health.v1.Health': { Check: LOCAL, List: LOCAL, Watch: LOCAL },
  'spire.api.server.trustdomain.v1.TrustDomain': {
    ListFederationRelationships: OPERATOR,
    GetFederationRelationship: OPERATOR,
    BatchCreateFederationRelationship: OPERATOR,
    BatchUpdateFederationRelationship: OPERATOR,
    BatchDeleteFederationRelationship: OPERATOR,
    RefreshBundle: OPERATOR,
  },
  'spire.api.server.localauthority.v1.LocalAuthority': {
    GetJWTAuthorityState: OPERATOR,
    PrepareJWTAuthority: OPERATOR,
    ActivateJWTAuthority: OPERATOR,
    TaintJWTAuthority: OPERATOR,
    RevokeJWTAuthority: OPERATOR,
    GetX509AuthorityState: OPERATOR,
    PrepareX509Authority: OPERATOR,
    ActivateX509Authority: OPERATOR,
    TaintX509Authority: OPERATOR,
    TaintX509UpstreamAuthority: OPERATOR,
    RevokeX509Authority: OPERATOR,
    RevokeX509UpstreamAuthority: OPERATOR,
    GetWITAuthorityState: OPERATOR,
    PrepareWITAuthority: OPERATOR,
    ActivateWITAuthority: OPERATOR,
    TaintWITAuthority: OPERATOR,
    RevokeWITAuthority: OPERATOR,
  },
};

/** The table by path (`/package.Service/Method`). */
export const AUTHORIZATION: ReadonlyMap<string, readonly CallerClass[]> = new Map(
  Object.entries(SERVICES).flatMap(([service, methods]) =>
    Object.entries(methods).map(([method, classes]) => [`/${service}/${method}`, classes] as const),
  ),
);

/** Whether a class of caller may call a method. */
export function isAllowed(path: string, callerClass: CallerClass): boolean {
  return AUTHORIZATION.get(path)?.includes(callerClass) ?? false;
}
