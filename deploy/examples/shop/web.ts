// The shop's front: shows an order, and, for the curious, tries to charge a card by itself.
import { call, serve } from './service.ts';

const orders = process.env['ORDERS'] ?? '127.0.0.1:8081';
const payments = process.env['PAYMENTS'] ?? '127.0.0.1:8082';

serve(async (method, path) => {
  if (method === 'GET' && path.startsWith('/orders/')) {
    const { status, requestId, body } = await call(orders, 'GET', path);
    return { status, body: { from: 'orders', status, request_id: requestId, answer: body } };
  }
  if (path === '/charge') {
    const { status, requestId, body } = await call(payments, 'POST', '/charge');
    return { status, body: { from: 'payments', status, request_id: requestId, answer: body } };
  }
  return { status: 404, body: { try: ['/orders/42', '/charge'] } };
});
