import { describe, expect, it } from 'vitest';
import { HttpError } from './error.ts';
import { endToEnd } from './fields.ts';
import { parseRequestHead } from './request.ts';

const HOST = 'Host: h';

function status(...lines: string[]): number {
  try {
    parseRequestHead(lines.join('\r\n'));
    return 0;
  } catch (error) {
    expect(error).toBeInstanceOf(HttpError);
    return (error as HttpError).status;
  }
}

describe('parseRequestHead', () => {
  it('reads what is plain', () => {
    const head = parseRequestHead(
      'POST /a?b HTTP/1.1\r\nHOST: h:80\r\nX-A:  1 \t\r\nx-a:\r\nContent-Length: 5',
    );
    expect(head).toEqual({
      method: 'POST',
      target: '/a?b',
      host: 'h:80',
      fields: [
        ['host', 'h:80'],
        ['x-a', '1'],
        ['x-a', ''],
        ['content-length', '5'],
      ],
      framing: { kind: 'length', length: 5 },
      keepAlive: true,
      expectsContinue: false,
    });
  });

  it('reduces an absolute form that agrees with Host', () => {
    expect(parseRequestHead(`GET http://h/a?b HTTP/1.1\r\n${HOST}`).target).toBe('/a?b');
    expect(parseRequestHead(`GET http://h?b HTTP/1.1\r\n${HOST}`).target).toBe('/?b');
    expect(parseRequestHead(`GET http://h HTTP/1.1\r\n${HOST}`).target).toBe('/');
  });

  it.each([
    ['nothing', 400, ['']],
    ['no version', 400, ['GET /', HOST]],
    ['HTTP/0.9', 400, ['GET / HTTP', HOST]],
    ['HTTP/1.0', 505, ['GET / HTTP/1.0', HOST]],
    ['HTTP/2.0', 505, ['PRI * HTTP/2.0', HOST]],
    ['a version in lower case', 400, ['GET / http/1.1', HOST]],
    ['two blanks', 400, ['GET  / HTTP/1.1', HOST]],
    ['a blank after the version', 400, ['GET / HTTP/1.1 ', HOST]],
    ['a tab', 400, ['GET\t/ HTTP/1.1', HOST]],
    ['a leading blank', 400, [' GET / HTTP/1.1', HOST]],
    ['a method in lower case', 400, ['get / HTTP/1.1', HOST]],
    ['a method that is no token', 400, ['GE(T / HTTP/1.1', HOST]],
    ['CONNECT', 501, ['CONNECT h:443 HTTP/1.1', HOST]],
    ['no Host', 400, ['GET / HTTP/1.1']],
    ['two Hosts', 400, ['GET / HTTP/1.1', HOST, HOST]],
    ['an empty Host', 400, ['GET / HTTP/1.1', 'Host:']],
    ['a Host with a path', 400, ['GET / HTTP/1.1', 'Host: h/x']],
    ['a Host with user info', 400, ['GET / HTTP/1.1', 'Host: a@h']],
    ['a Host list', 400, ['GET / HTTP/1.1', 'Host: a, b']],
    ['another host in the target', 400, ['GET http://evil/ HTTP/1.1', HOST]],
    ['user info in the target', 400, ['GET http://a@h/ HTTP/1.1', HOST]],
    ['another scheme', 400, ['GET https://h/ HTTP/1.1', HOST]],
    ['a relative target', 400, ['GET a HTTP/1.1', HOST]],
    ['obs-fold', 400, ['GET / HTTP/1.1', HOST, 'A: b', ' c']],
    ['a blank before the colon', 400, ['GET / HTTP/1.1', HOST, 'A : b']],
    ['no colon', 400, ['GET / HTTP/1.1', HOST, 'A']],
    ['no name', 400, ['GET / HTTP/1.1', HOST, ': b']],
    ['a name that is no token', 400, ['GET / HTTP/1.1', HOST, 'A\xe9: b']],
    ['a bare CR', 400, ['GET / HTTP/1.1', HOST, 'A: b\rc']],
    ['a NUL', 400, ['GET / HTTP/1.1', HOST, 'A: b\0c']],
    ['a CR in the target', 400, ['GET /\rx HTTP/1.1\r', HOST]],
    ['length and chunks', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: 1', 'Transfer-Encoding: chunked']],
    ['two lengths', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: 1', 'Content-Length: 1']],
    ['a list of lengths', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: 1, 1']],
    ['a signed length', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: +1']],
    ['a hexadecimal length', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: 0x1']],
    ['a padded length', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: 01']],
    ['a huge length', 400, ['POST / HTTP/1.1', HOST, 'Content-Length: 9999999999999999']],
    ['an empty length', 400, ['POST / HTTP/1.1', HOST, 'Content-Length:']],
    ['xchunked', 501, ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: xchunked']],
    ['gzip, chunked', 501, ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: gzip, chunked']],
    [
      'chunked twice',
      400,
      ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    ],
    ['chunked with a vertical tab', 400, ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: \x0bchunked']],
    ['an unknown expectation', 417, ['POST / HTTP/1.1', HOST, 'Expect: 200-ok']],
    ['too many fields', 431, ['GET / HTTP/1.1', HOST, ...Array.from({ length: 100 }, () => 'A: b')]],
  ])('refuses %s with %i', (_name, expected, lines) => {
    expect(status(...lines)).toBe(expected);
  });

  it('knows the last request of a connection', () => {
    expect(parseRequestHead(`GET / HTTP/1.1\r\n${HOST}\r\nConnection: Keep-Alive, Close`).keepAlive).toBe(
      false,
    );
  });
});

describe('endToEnd', () => {
  it('drops hop-by-hop fields and those that Connection names', () => {
    const { fields } = parseRequestHead(
      [
        'GET / HTTP/1.1',
        HOST,
        'Connection: X-A, upgrade',
        'Connection: x-b',
        'X-A: 1',
        'X-B: 1',
        'Upgrade: h2c',
        'HTTP2-Settings: x',
        'TE: trailers',
        'Keep-Alive: 1',
        'Proxy-Authorization: x',
        'Content-Length: 0',
        'X-C: 1',
      ].join('\r\n'),
    );
    expect(endToEnd(fields)).toEqual([['x-c', '1']]);
    // A CGI-like application makes one variable of `_` and `-`.
    expect(
      endToEnd([
        ['transfer_encoding', 'chunked'],
        ['x_c', '1'],
      ]),
    ).toEqual([['x_c', '1']]);
  });
});
