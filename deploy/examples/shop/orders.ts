// Orders: an order is shown once its payment went through.
import { call, serve } from './service.ts';

const payments = process.env['PAYMENTS'] ?? '127.0.0.1:8082';

serve(async (method, path) => {
  const order = /^\/orders\/(\d+)$/.exec(path)?.[1];
  if (method !== 'GET' || order === undefined) return { status: 404, body: { error: 'no such order' } };
  const { status, requestId, body } = await call(payments, 'POST', '/charge');
  return {
    status: status === 200 ? 200 : 502,
    body: { order: Number(order), payment: { status, request_id: requestId, answer: body } },
  };
});
