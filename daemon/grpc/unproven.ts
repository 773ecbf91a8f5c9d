// How much of a listener those may take who have not proven who they are, so that those who have are served.

/** Options of {@link UnprovenLimit}. */
export interface UnprovenLimitOptions {
  /** Connections at once. */
  readonly most: number;
  /** Connections at once from one network: an IPv4 address, or 64 bits of an IPv6 address. */
  readonly mostPerNetwork: number;
}

/** Counts connections in a handshake, and those without an SVID after it. */
export class UnprovenLimit {
  readonly #options: UnprovenLimitOptions;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(options: UnprovenLimitOptions) {
    this.#options = options;
  }

  /** Takes one; the returned function gives it back. Undefined: there are as many as allowed. */
  take(address: string): (() => void) | undefined {
    const network = networkOf(address);
    const count = this.#open.get(network) ?? 0;
    if (this.#total >= this.#options.most || count >= this.#options.mostPerNetwork) return undefined;
    this.#total++;
    this.#open.set(network, count + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#total--;
      const left = this.#open.get(network)! - 1;
      if (left === 0) this.#open.delete(network);
      else this.#open.set(network, left);
    };
  }
}

// One subscriber has the lower 64 bits of an IPv6 address to himself.
function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address.replace(/^::ffff:/, '');
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':');
    while (groups.length + last.length < 8) groups.push('0');
    groups.push(...last);
  }
  return groups.slice(0, 4).join(':');
}
