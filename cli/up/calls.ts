// The three calls that show what the mesh decides, made through the services as a user would, and who decided each:
// read from the log of the proxy that the request passed, under its request id.
import { readFile } from 'node:fs/promises';
import { delay } from '../../sdk/backoff.ts';
import { httpCall, type HttpAnswer } from './http.ts';
import { logOf, type MeshPlan } from './plan.ts';

/** One call and its outcome. */
export interface CallOutcome {
  readonly call: string;
  readonly request: string;
  readonly status: number;
  readonly requestId: string;
  /** Such as `orders-proxy, rule web-reads-orders`. */
  readonly decidedBy: string;
}

interface ServiceAnswer {
  readonly status: number;
  readonly request_id: string;
  readonly answer?: { payment?: { status: number; request_id: string } };
}

/** `GET /orders/42` at web: web calls orders, orders calls payments. */
export function callOrders(plan: MeshPlan, order = 42): Promise<HttpAnswer> {
  return httpCall({ port: plan.ports.web }, 'GET', `/orders/${order}`);
}

/** `POST /charge` at web: web calls payments, which is forbidden. */
export function callCharge(plan: MeshPlan): Promise<HttpAnswer> {
  return httpCall({ port: plan.ports.web }, 'POST', '/charge');
}

/** Makes the three calls. */
export async function makeCalls(plan: MeshPlan): Promise<CallOutcome[]> {
  const orders = JSON.parse((await callOrders(plan)).body) as ServiceAnswer;
  const payment = orders.answer?.payment;
  const charge = JSON.parse((await callCharge(plan)).body) as ServiceAnswer;
  return Promise.all([
    outcome(plan, 'web -> orders', 'GET /orders/42', orders, 'orders'),
    outcome(plan, 'orders -> payments', 'POST /charge', payment ?? { status: 0, request_id: '' }, 'payments'),
    outcome(plan, 'web -> payments', 'POST /charge', charge, 'payments'),
  ]);
}

async function outcome(
  plan: MeshPlan,
  call: string,
  request: string,
  answer: { status: number; request_id: string },
  decider: 'orders' | 'payments',
): Promise<CallOutcome> {
  const decision = await decisionOf(plan, decider, answer.request_id);
  const rule = decision === undefined ? 'not found in its log' : ruleText(decision);
  return {
    call,
    request,
    status: answer.status,
    requestId: answer.request_id,
    decidedBy: `${decider}-proxy, ${rule}`,
  };
}

/** What a proxy's log says about a request. */
export interface Decision {
  readonly request_id: string;
  readonly listener?: string;
  readonly direction?: string;
  readonly verdict?: string;
  readonly rule?: string;
  readonly reason?: string;
  readonly status?: number;
}

/** The log record of a request at a proxy; the log is written a moment after the answer. */
export async function decisionOf(
  plan: MeshPlan,
  proxy: string,
  requestId: string,
): Promise<Decision | undefined> {
  if (requestId === '') return undefined;
  for (let attempt = 0; attempt < 40; attempt++) {
    const text = await readFile(logOf(plan, `${proxy}-proxy`), 'utf8');
    const line = text
      .split('\n')
      .findLast((candidate) => candidate.includes(requestId) && candidate.includes('verdict'));
    if (line !== undefined) return JSON.parse(line) as Decision;
    await delay(25);
  }
  return undefined;
}

function ruleText({ rule, verdict }: Decision): string {
  return rule === 'default' ? `default: ${verdict}` : `rule ${rule}`;
}
