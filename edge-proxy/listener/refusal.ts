// What a refused caller is told: a status and a request id, never why (architecture decision 13).

const NAMES: Readonly<Record<number, string>> = {
  400: 'bad_request',
  403: 'forbidden',
  404: 'not_found',
  408: 'timeout',
  414: 'uri_too_long',
  417: 'expectation_failed',
  431: 'header_too_large',
  500: 'internal_error',
  501: 'not_implemented',
  502: 'bad_gateway',
  503: 'unavailable',
  504: 'gateway_timeout',
  505: 'version_not_supported',
};

/** The body of a refusal. */
export function refusalBody(status: number, requestId: string): string {
  return `${JSON.stringify({ error: NAMES[status] ?? 'refused', request_id: requestId })}\n`;
}

/** A refusal as a Response. The engine adds the request id as a header. */
export function refusalResponse(status: number, requestId: string): Response {
  return new Response(refusalBody(status, requestId), {
    status,
    headers: { 'content-type': 'application/json' },
  });
}
