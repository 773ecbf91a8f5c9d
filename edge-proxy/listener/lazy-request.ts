// A Request that Hono can route without one being built: URL, headers and body are made when somebody reads them.
import { isRefusal } from '../../sdk/policy/policy.ts';
import { streamOf } from '../http1/incoming-body.ts';
import type { Exchange } from './exchange.ts';

class LazyRequest {
  readonly method: string;
  readonly #exchange: Exchange;
  #headers: Headers | undefined;
  #real: Request | undefined;

  constructor(exchange: Exchange) {
    this.method = exchange.head.method;
    this.#exchange = exchange;
  }

  get url(): string {
    const { head, target } = this.#exchange;
    return isRefusal(target) ? `http://${head.host}/` : `http://${head.host}${target.path}${target.query}`;
  }

  get headers(): Headers {
    this.#headers ??= new Headers(
      this.#exchange.head.fields.map(([name, value]): [string, string] => [name, value]),
    );
    return this.#headers;
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#request().body as ReadableStream<Uint8Array> | null;
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? false;
  }

  get signal(): AbortSignal {
    return this.#request().signal;
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#request().arrayBuffer();
  }

  text(): Promise<string> {
    return this.#request().text();
  }

  json(): Promise<unknown> {
    return this.#request().json();
  }

  blob(): Promise<Blob> {
    return this.#request().blob();
  }

  formData(): Promise<FormData> {
    return this.#request().formData();
  }

  clone(): Request {
    return this.#request().clone();
  }

  #request(): Request {
    if (this.#real === undefined) {
      const { body } = this.#exchange;
      const bodyless = this.method === 'GET' || this.method === 'HEAD' || body.framing.kind === 'none';
      const init = bodyless ? {} : { body: streamOf(body), duplex: 'half' };
      if (!bodyless) this.#exchange.wantBody();
      this.#real = new Request(this.url, {
        method: this.method,
        headers: this.headers,
        ...init,
      } as RequestInit);
    }
    return this.#real;
  }
}

/** The Request of an exchange. */
export function lazyRequest(exchange: Exchange): Request {
  return new LazyRequest(exchange) as unknown as Request;
}
