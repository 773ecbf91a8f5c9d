// The agent's own identity through its life: loaded, attested, renewed, and after a denial attested again. It never
// gives up: what cannot be done now is tried again, and the log says what an operator has to do.
import type { NodeAttestorAgent } from '../../attestors/node/node-attestor-agent.ts';
import type { Logger } from '../../daemon/log.ts';
import { x509BundleSet, type X509Bundle } from '../../sdk/bundle/x509-bundle.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { fetchBundle } from '../sync/fetch-bundles.ts';
import { authorityKeyOf, type ServerBundle } from '../authority-key.ts';
import { renewalTime } from '../renewal.ts';
import { attestAgent, renewAgent, reportVersion } from './attest.ts';
import type { Denial } from './denial.ts';
import { failureText, withoutToken } from './failure-text.ts';
import { ServerConnection } from './server-connection.ts';
import { verifyServer } from './server-verification.ts';
import type { AgentStateFile } from './state-file.ts';

/** Options of {@link NodeIdentity}. */
export interface NodeIdentityOptions {
  readonly trustDomain: TrustDomain;
  /** `address:port` of the server. */
  readonly server: string;
  /** What to trust at first; undefined: whoever answers (insecure_bootstrap). */
  readonly bootstrap: X509Bundle | undefined;
  readonly attestor: NodeAttestorAgent;
  readonly stateFile: AgentStateFile;
  readonly log: Logger;
  readonly now?: () => number;
  readonly random?: () => number;
}

export class NodeIdentity implements Disposable {
  readonly connection: ServerConnection;
  readonly #options: NodeIdentityOptions;
  readonly #now: () => number;
  #svid: X509Svid | undefined;
  #bundle: X509Bundle | undefined;
  #untainted: ReadonlySet<string> | undefined;
  #reattestable = false;
  #renewAt = 0;
  #denied = false;
  #reported = false;

  constructor(options: NodeIdentityOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#bundle = options.bootstrap;
    this.connection = new ServerConnection({
      target: options.server,
      verify: (chain) => this.#verify(chain),
      identity: () => this.#svid && tlsIdentity(this.#svid),
    });
  }

  /** The agent's SVID, if it has one. */
  get svid(): X509Svid | undefined {
    return this.#svid;
  }

  /** The bundle that is trusted now. */
  get bundle(): X509Bundle | undefined {
    return this.#bundle;
  }

  /** When something is to be done next for the SVID itself. */
  get renewAt(): number {
    return this.#renewAt;
  }

  /** Takes over what an earlier run left, if it still serves. */
  async load(): Promise<void> {
    const state = await this.#options.stateFile.load();
    if (state === undefined) return;
    // The bundle that the server gave last is newer than the one the operator gave first.
    this.#bundle = state.bundle;
    if (state.svid.notAfter <= this.#now()) {
      this.#options.log.warn(
        { id: withoutToken(state.svid.id), expired: new Date(state.svid.notAfter).toISOString() },
        'the SVID of the earlier run has expired; this agent attests anew',
      );
      return;
    }
    this.#use(state.svid, state.reattestable, state.svid.notBefore);
    this.#options.log.info(
      { id: withoutToken(state.svid.id), serial: state.svid.serial },
      'goes on with the SVID of the earlier run',
    );
  }

  /**
   * Sees to it that the agent has an SVID: attests, or renews when it is time.
   *
   * @throws if it has none afterwards; a renewal that fails is logged and tried again.
   */
  async maintain(signal: AbortSignal): Promise<void> {
    const expired = this.#svid !== undefined && this.#svid.notAfter <= this.#now();
    if (this.#svid === undefined || expired || this.#denied) {
      try {
        await this.#attest(signal);
      } catch (error) {
        // Denied but not expired: perhaps the server has changed its mind by now.
        if (this.#denied && this.#svid !== undefined && !expired) {
          this.#options.log.warn(
            { reason: failureText(error), advice: this.#advice() },
            'cannot attest again',
          );
          return;
        }
        throw error;
      }
    } else if (this.#now() >= this.#renewAt) {
      await this.#renew(signal);
    }
    this.#report(signal);
  }

  /** Takes note that the server turned this agent away. */
  deny(denial: Denial): void {
    if (this.#denied) return;
    this.#denied = true;
    this.connection.drop();
    this.#options.log.error(
      { id: withoutToken(this.#svid?.id ?? 'none'), denial, advice: this.#advice() },
      'the server turned this agent away',
    );
  }

  /** Takes note that the server serves this agent (again). */
  accept(): void {
    this.#denied = false;
  }

  /** Trusts this bundle from now on, and after a restart. */
  async trust(bundle: ServerBundle): Promise<void> {
    this.#hurry(bundle.untainted);
    if (sameBundle(this.#bundle, bundle)) return;
    this.#bundle = bundle;
    await this.#save();
  }

  [Symbol.dispose](): void {
    this.connection[Symbol.dispose]();
  }

  async #attest(signal: AbortSignal): Promise<void> {
    const { attestor, trustDomain, log } = this.#options;
    using client = this.connection.anonymousClient();
    const { svid, reattestable } = await attestAgent(client, attestor, trustDomain, signal);
    // Insecure bootstrap: the bundle comes over the very connection that the SVID came over.
    this.#bundle ??= await fetchBundle(client, trustDomain, signal);
    this.#use(svid, reattestable, this.#now());
    this.#denied = false;
    this.#reported = false;
    await this.#save();
    log.info(
      { id: withoutToken(svid.id), serial: svid.serial, expires: new Date(svid.notAfter).toISOString() },
      'attested this node',
    );
  }

  // Once a run, and after each attestation, since the server may have forgotten this agent. Nothing waits for it.
  #report(signal: AbortSignal): void {
    if (this.#reported) return;
    this.#reported = true;
    reportVersion(this.connection.client(), signal).catch((error: unknown) => {
      this.#options.log.debug({ reason: failureText(error) }, 'could not tell the server the version');
    });
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { trustDomain, log } = this.#options;
    try {
      // Where the proof can be given again, servers want that and refuse a renewal.
      if (this.#reattestable) {
        await this.#attest(signal);
        return;
      }
      const svid = await renewAgent(this.connection.client(), trustDomain, signal);
      const before = this.#svid;
      this.#use(svid, this.#reattestable, this.#now());
      try {
        await this.#save();
      } catch (error) {
        // A restart would find the old SVID, which the server forgets as soon as the new one is used.
        this.#svid = before;
        throw error;
      }
      log.info(
        { id: withoutToken(svid.id), serial: svid.serial, expires: new Date(svid.notAfter).toISOString() },
        'renewed the SVID of this agent',
      );
    } catch (error) {
      if (signal.aborted) throw error;
      this.#renewAt = this.#now() + RENEWAL_RETRY;
      log.warn({ reason: failureText(error) }, 'the SVID of this agent could not be renewed; trying again');
      this.connection.drop();
      throw error;
    }
  }

  // With an SVID of an authority that was revoked this agent could not renew it any more. Once for each change: a server
  // that goes on issuing under a tainted authority is not asked for ever.
  #hurry(untainted: ReadonlySet<string>): void {
    const before = this.#untainted;
    this.#untainted = untainted;
    if (this.#svid === undefined) return;
    const authority = authorityKeyOf(this.#svid.certificates);
    if (authority === '' || untainted.has(authority) || before?.has(authority) === false) return;
    this.#renewAt = 0;
    this.#options.log.info(
      { authority },
      'the authority of the SVID of this agent is tainted or revoked; renewing now',
    );
  }

  #use(svid: X509Svid, reattestable: boolean, from: number): void {
    this.#svid = svid;
    this.#reattestable = reattestable;
    this.#renewAt = renewalTime(from, svid.notAfter, this.#options.random ?? Math.random);
    this.connection.drop();
  }

  async #save(): Promise<void> {
    if (this.#svid === undefined || this.#bundle === undefined) return;
    await this.#options.stateFile.save({
      svid: this.#svid,
      bundle: this.#bundle,
      reattestable: this.#reattestable,
    });
  }

  #verify(chain: readonly Uint8Array[]): void {
    verifyServer(chain, {
      trustDomain: this.#options.trustDomain,
      bundles: this.#bundle && x509BundleSet([this.#bundle]),
      now: this.#now(),
    });
  }

  #advice(): string {
    const { renewal } = this.#options.attestor;
    return renewal.kind === 'manual' ? renewal.advice : 'this agent attests again by itself';
  }
}

const RENEWAL_RETRY = 5_000;

function tlsIdentity(svid: X509Svid): { cert: string; key: string } {
  return { cert: pemOf('CERTIFICATE', svid.certificates), key: pemOf('PRIVATE KEY', [svid.privateKey]) };
}

function sameBundle(left: X509Bundle | undefined, right: X509Bundle): boolean {
  const keys = (bundle: X509Bundle) => bundle.authorities.map(({ tbs }) => tbs.join()).sort();
  return left !== undefined && keys(left).join(';') === keys(right).join(';');
}
