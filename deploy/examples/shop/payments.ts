// Payments: takes every charge.
import { serve } from './service.ts';

serve((method, path) =>
  method === 'POST' && path === '/charge'
    ? { status: 200, body: { charged: true } }
    : { status: 404, body: { error: 'POST /charge and nothing else' } },
);
