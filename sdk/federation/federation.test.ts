import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { parseTrustDomain } from '../spiffe-id.ts';
import { chooseBundle } from './choose-bundle.ts';
import { parseEndpointUrl, redirectTarget } from './endpoint-url.ts';
import { parseRelationship } from './relationship.ts';
import { nextRefresh } from './schedule.ts';

const base = new URL('https://partner.org/bundle');
const piece = fc.oneof(
  fc.constantFrom(
    'https:',
    'http:',
    '//',
    '/',
    '\\',
    '@',
    ':',
    '?',
    '#',
    'u:p@',
    'host',
    '..',
    '%2e',
    '\t',
    ' ',
    '[::1]',
    'é',
  ),
  fc.string({ maxLength: 5 }),
);
const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));

describe('endpoint URLs', () => {
  it('whatever is accepted is https, without userinfo, and means what it says', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          text.map((tail) => `https://${tail}`),
        ),
        (input) => {
          for (const read of [() => parseEndpointUrl(input), () => redirectTarget(base, input)]) {
            try {
              const url = read();
              expect([url.protocol, url.username, url.password, url.hash]).toEqual(['https:', '', '', '']);
              const host = /^(?:https:)?\/\/([^/?]*)/i.exec(input)?.[1] ?? base.host;
              expect(new URL(`https://${host}`).host).toBe(url.host);
            } catch (error) {
              expect(error).toBeInstanceOf(SpiffeError);
            }
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it.each([
    '///evil.org/',
    'https:evil.org',
    'https:/evil.org',
    '/\\evil.org',
    '\\\\evil.org',
    '',
    'javascript:x',
    '//@a/',
  ])('a redirect to %j is not followed', (location) => {
    expect(() => redirectTarget(base, location)).toThrow(SpiffeError);
  });
});

describe('relationships', () => {
  it('of any content fail with SpiffeError and nothing else', () => {
    const value = fc.option(fc.oneof(text, fc.constantFrom('https_web', 'https_spiffe', 'partner.org')), {
      nil: undefined,
    });
    fc.assert(
      fc.property(
        fc.record({ trustDomain: value, url: value, profile: value, endpointId: value }),
        (input) => {
          try {
            expect(parseRelationship(input).url).toMatch(/^https:/);
          } catch (error) {
            expect(error).toBeInstanceOf(SpiffeError);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('schedule and order', () => {
  it('any hint gives a time within the bounds', () => {
    fc.assert(
      fc.property(fc.option(fc.double(), { nil: undefined }), (hint) => {
        const wait = nextRefresh(hint);
        expect(wait >= 60_000 && wait <= 86_400_000).toBe(true);
      }),
    );
  });

  it('the higher sequence stays in effect, in whatever order they come', () => {
    const of = (sequence: bigint) => ({
      trustDomain: parseTrustDomain('partner.org'),
      x509Authorities: [],
      jwtAuthorities: new Map(),
      witAuthorities: new Map(),
      sequence,
    });
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 65n }), { minLength: 1 }), (sequences) => {
        let stored = of(sequences[0]!);
        for (const sequence of sequences) {
          if (chooseBundle(stored, of(sequence)) === 'updated') stored = of(sequence);
        }
        expect(stored.sequence).toBe(sequences.reduce((most, next) => (next > most ? next : most)));
      }),
    );
  });
});
