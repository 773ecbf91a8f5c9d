// What the two processes of the propagation benchmark tell one another. Times are nanoseconds of the machine's steady
// clock, which both read.

/** To the agents. */
export type AgentsOrder =
  | {
      readonly kind: 'start';
      readonly port: number;
      /** DER, base64. */
      readonly roots: readonly string[];
      /** Certificate chains, one an agent. */
      readonly agents: readonly (readonly string[])[];
      /** PEM: one key for all, since its making is not what is measured. */
      readonly key: string;
    }
  /** Tell what has arrived since the last report. */
  | { readonly kind: 'report' };

/** From the agents. */
export interface Arrivals {
  readonly kind: 'arrivals';
  readonly entries: readonly { readonly id: string; readonly count: number; readonly last: string }[];
  readonly empty: { readonly count: number; readonly last: string };
}
