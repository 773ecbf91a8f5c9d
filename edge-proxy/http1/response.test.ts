import { describe, expect, it } from 'vitest';
import type { HttpError } from './error.ts';
import { parseResponseHead } from './response.ts';

describe('parseResponseHead', () => {
  it.each([
    ['HTTP/1.1 200 OK\r\nContent-Length: 5', 'GET', { kind: 'length', length: 5 }, true],
    ['HTTP/1.1 200 \r\nTransfer-Encoding: Chunked', 'GET', { kind: 'chunked' }, true],
    ['HTTP/1.1 200', 'GET', { kind: 'close' }, false],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close',
      'GET',
      { kind: 'length', length: 5 },
      false,
    ],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5', 'HEAD', { kind: 'none' }, true],
    ['HTTP/1.1 204 No Content', 'GET', { kind: 'none' }, true],
    ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5', 'GET', { kind: 'none' }, true],
    ['HTTP/1.1 100 Continue', 'GET', { kind: 'none' }, true],
    ['HTTP/1.0 200 OK\r\nContent-Length: 5', 'GET', { kind: 'length', length: 5 }, false],
    [
      'HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive',
      'GET',
      { kind: 'length', length: 5 },
      true,
    ],
  ])('%j to %s', (text, method, framing, keepAlive) => {
    expect(parseResponseHead(text, method)).toMatchObject({ framing, keepAlive });
  });

  it.each([
    '',
    'HTTP/1.1',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 600 X',
    'HTTP/2 200 OK',
    'HTTP/1.1  200 OK',
    'ICY 200 OK',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked',
    'HTTP/1.1 200 OK\r\nA : b',
    'HTTP/1.1 200 OK\r\nA: b\r\n c',
  ])('refuses %j', (text) => {
    expect(() => parseResponseHead(text, 'GET')).toThrow(
      expect.objectContaining({ status: 502 }) as HttpError,
    );
  });
});
