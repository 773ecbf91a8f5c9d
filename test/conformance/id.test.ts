// SPIFFE-ID: every requirement and the vectors 11.1. Strings are judged here; what certificates hold is in x509.test.ts.
import { expect, describe, it } from 'vitest';
import { SpiffeError } from '../../sdk/error.ts';
import {
  isMemberOf,
  isSpiffeId,
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  spiffeIdFromSegments,
  spiffeIdOf,
  trustDomainId,
  trustDomainOf,
} from '../../sdk/spiffe-id.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { testAuthority } from '../support/authority.ts';

const ORG = 'spiffe://example.org';
const trustDomain = parseTrustDomain('example.org');

const accepts = (...texts: readonly string[]) => {
  for (const text of texts) {
    const id = parseSpiffeId(text);
    expect(id, text).toBe(text);
    expect(trustDomainId(trustDomainOf(id)) + pathOf(id), text).toBe(text);
  }
};
const refuses = (...texts: readonly string[]) => {
  for (const text of texts) {
    expect(isSpiffeId(text), text).toBe(false);
    expect(() => parseSpiffeId(text), text).toThrow(
      expect.objectContaining({ name: 'SpiffeError', code: 'ERR_SPIFFE_ID' }),
    );
  }
};
const paths = (...tails: readonly string[]) => tails.map((tail) => ORG + tail);
const ofLength = (bytes: number) => `${ORG}/${'a'.repeat(bytes - ORG.length - 1)}`;

describe('requirements', () => {
  it('ID-01: the scheme is spiffe, followed by ://', () =>
    refuses('https://example.org/a', 'spiffe:/example.org/a', 'spiffe:example.org/a'));
  it('ID-02: the trust domain is not empty', () => refuses('spiffe://', 'spiffe:///a'));
  it('ID-03: no query and no fragment, not even empty ones', () =>
    refuses(...paths('/a?x=1', '/a?', '/a#f', '/a#', '?', '#')));
  it('ID-04: no user information', () => refuses('spiffe://u@example.org/a', 'spiffe://@example.org/a'));
  it('ID-05: no port, and no lone colon', () => refuses(...paths(':443/a', ':/a', ':')));
  it('ID-06: the trust domain is lower case', () => refuses('spiffe://Example.org/a'));
  it('ID-07: of letters, digits and . - _', () => {
    refuses('spiffe://ex$mple/a', 'spiffe://exämple.org/a', 'spiffe://[::1]/a');
    accepts('spiffe://exa_mple.org/a');
  });
  it('ID-08: no percent-encoding in it', () => refuses('spiffe://ex%61mple.org/a'));
  it('ID-09: names that look like addresses, or like nothing in DNS, are ordinary names', () =>
    accepts(
      'spiffe://10.0.0.1/a',
      'spiffe://-./a',
      'spiffe://a..b/a',
      'spiffe://_/a',
      'spiffe://example.org./a',
    ));
  it('ID-10: no percent-encoding in the path', () => refuses(...paths('/%61')));
  it('ID-11: no empty segment, no . and no ..', () => {
    refuses(...paths('//a', '/a//b', '/.', '/a/../b'));
    accepts(...paths('/...', '/.a', '/a..'));
  });
  it('ID-12: no trailing slash', () => refuses(...paths('/', '/a/')));
  it('ID-13: segments of letters, digits and . - _', () =>
    refuses(
      ...paths(
        '/a~b',
        '/a+b',
        '/a:b',
        '/a@b',
        '/a b',
        '/a*',
        '/é',
        String.raw`/a\b`,
        '/a\0',
        '/a\n',
        '/a\uD800',
      ),
    ));
  it('ID-14: a trust domain has an ID without a path', () => {
    accepts(ORG);
    expect(pathOf(parseSpiffeId(ORG))).toBe('');
  });
  it('ID-15: 2048 bytes are parsed, issued, written, read and verified', async () => {
    const authority = await testAuthority();
    const id = parseSpiffeId(ofLength(2048));
    const svid = await authority.issue(pathOf(id));
    expect(svid.id).toBe(id);
    expect(verifyX509Svid(svid.certificates, authority.bundles).id).toBe(id);
  });
  it('ID-16: a longer one cannot be made, so it cannot be issued', () => {
    refuses(ofLength(2049));
    expect(() => spiffeIdOf(trustDomain, ofLength(2049).slice(ORG.length))).toThrow(SpiffeError);
  });
  it('ID-17: a trust domain has at most 255 bytes', () => {
    accepts(`spiffe://${'a'.repeat(255)}/a`);
    refuses(`spiffe://${'a'.repeat(256)}/a`);
    expect(() => parseTrustDomain('a'.repeat(256))).toThrow(SpiffeError);
  });
  it('ID-18: paths are case-sensitive', () =>
    expect(parseSpiffeId(`${ORG}/A`)).not.toBe(parseSpiffeId(`${ORG}/a`)));
  it('ID-19: what was parsed is canonical: equality of strings is equality of IDs', () => {
    refuses('SPIFFE://example.org/a', 'spiffe://EXAMPLE.ORG/a');
    expect(isMemberOf(parseSpiffeId(`${ORG}/a`), trustDomain)).toBe(true);
  });
  it('ID-20: a longer path is another ID and no child; a longer name is another trust domain', () => {
    expect(parseSpiffeId(`${ORG}/a/b`)).not.toBe(parseSpiffeId(`${ORG}/a`));
    expect(isMemberOf(parseSpiffeId('spiffe://a.example.org/a'), trustDomain)).toBe(false);
    expect(isMemberOf(parseSpiffeId('spiffe://example.org.evil/a'), trustDomain)).toBe(false);
  });
});

describe('contradictions in the text, as decided', () => {
  it('C-01: only lower case is emitted, and only the lower-case scheme and trust domain are read', () =>
    refuses('SPIFFE://example.org/a', 'Spiffe://example.org', 'spiffe://EXAMPLE.org'));
});

describe('vectors 11.1', () => {
  it('I01: a trust domain', () => accepts(ORG));
  it('I02: paths', () => accepts(...paths('/a', '/a/b', '/A', '/...', '/.a', '/a..', '/a_b-c.d')));
  it('I03: odd trust domains', () =>
    accepts(
      ...['10.0.0.1', 'exa_mple.org', '-.', '_', 'a..b', '.example.org', 'example.org.'].map(
        (name) => `spiffe://${name}/a`,
      ),
    ));
  it('I04: trailing slash', () => refuses(...paths('/', '/a/')));
  it('I05: empty segments', () => refuses(...paths('//a', '/a//b', '//')));
  it('I06: dot segments', () => refuses(...paths('/.', '/..', '/./a', '/a/./b', '/a/..', '/../a')));
  it('I07: percent-encoding', () =>
    refuses(...paths('/%61', '/%F0%9F%A4%AF'), 'spiffe://%62%61%64/a', 'spiffe://ex%61mple.org/a'));
  it('I08: query and fragment', () => refuses(...paths('/a?x=1', '/a?', '/a#f')));
  it('I09: an empty fragment', () => refuses(...paths('/a#')));
  it('I10: an upper-case scheme', () => refuses('SPIFFE://example.org/a', 'Spiffe://example.org/a'));
  it('I11: an upper-case trust domain', () => refuses('spiffe://Example.org/a'));
  it('I12: user information', () => refuses('spiffe://u@example.org/a', 'spiffe://@example.org/a'));
  it('I13: a port', () => refuses(...paths(':443/a', ':/a')));
  it('I14: an IPv6 address', () => refuses('spiffe://[::1]/a'));
  it('I15: no trust domain', () => refuses('spiffe://', 'spiffe:///', 'spiffe:///a'));
  it('I16: other schemes and forms', () =>
    refuses(
      'spiffe:/example.org/a',
      'spiffe:example.org/a',
      '//example.org/a',
      'example.org/a',
      'https://example.org/a',
      '',
    ));
  it('I17: space and control characters', () =>
    refuses(` ${ORG}/a`, `${ORG}/a `, ...paths('/a\n', '/a\0', '/a\tb', '\t/a')));
  it('I18: other characters in a segment', () => {
    for (const char of `~+:@*$!(),;=&'[]{}|^"<>\\%?#\`/`) {
      if (char !== '/') refuses(`${ORG}/a${char}b`);
    }
    for (let byte = 0x80; byte < 0x100; byte++) refuses(`${ORG}/a${String.fromCharCode(byte)}`);
  });
  it('I19: of every byte at the end of host and segment, the two sets pass and nothing else', () => {
    for (let byte = 0; byte < 256; byte++) {
      const char = String.fromCharCode(byte);
      expect(isSpiffeId(`${ORG}${char}`), `host ${byte}`).toBe(/^[a-z0-9._-]$/.test(char));
      expect(isSpiffeId(`${ORG}/a${char}`), `segment ${byte}`).toBe(/^[a-zA-Z0-9._-]$/.test(char));
    }
  });
  it('I20: a host of 255 and of 256 bytes', () => {
    accepts(`spiffe://${'a'.repeat(255)}`);
    refuses(`spiffe://${'a'.repeat(256)}`);
  });
  it('I21: 2048 and 2049 bytes', () => {
    accepts(ofLength(2048));
    refuses(ofLength(2049));
  });
  it('I22: a trust domain is a name or its ID; an ID with a path is refused, not cut', () => {
    expect(parseTrustDomain('example.org')).toBe('example.org');
    expect(parseTrustDomain(ORG)).toBe('example.org');
    for (const text of [`${ORG}/x`, `${ORG}/`, 'example.org/x']) {
      expect(() => parseTrustDomain(text)).toThrow(expect.objectContaining({ code: 'ERR_TRUST_DOMAIN' }));
    }
    expect(trustDomainOf(parseSpiffeId(`${ORG}/x`))).toBe('example.org');
  });
  it('I23: segments that hold a slash, or are empty or dots', () => {
    expect(spiffeIdFromSegments(trustDomain, 'a', 'b')).toBe(`${ORG}/a/b`);
    expect(spiffeIdFromSegments(trustDomain)).toBe(ORG);
    for (const segment of ['a/b', '', '.', '..', '/a', 'a/']) {
      expect(() => spiffeIdFromSegments(trustDomain, segment), segment).toThrow(SpiffeError);
    }
  });
  it('I24: a path without its slash, or a slash alone', () => {
    for (const path of ['a', '/']) expect(() => spiffeIdOf(trustDomain, path)).toThrow(SpiffeError);
  });
});
