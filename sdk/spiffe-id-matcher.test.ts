import { describe, expect, it } from 'vitest';
import { SpiffeError } from './error.ts';
import { parseSpiffeId } from './spiffe-id.ts';
import { matchAny, matchId, matchMemberOf, matchOneOf, type SpiffeIdMatcher } from './spiffe-id-matcher.ts';

const WEB = 'spiffe://example.org/web';
const IDS = [
  'spiffe://example.org',
  WEB,
  `${WEB}/a`,
  'spiffe://example.org/Web',
  'spiffe://example.org.evil/web',
  'spiffe://a.example.org/web',
].map(parseSpiffeId);

const matched = (matcher: SpiffeIdMatcher) => IDS.filter((id) => matcher(id));

describe('matchers', () => {
  it('match all, one, some or the members of a trust domain, and nothing near to them', () => {
    expect(matched(matchAny())).toEqual(IDS);
    expect(matched(matchId(WEB))).toEqual([WEB]);
    expect(matched(matchOneOf([WEB, `${WEB}/a`]))).toEqual([WEB, `${WEB}/a`]);
    expect(matched(matchOneOf([]))).toEqual([]);
    expect(matched(matchMemberOf('example.org'))).toEqual(IDS.slice(0, 4));
    expect(matched(matchMemberOf('spiffe://example.org'))).toEqual(IDS.slice(0, 4));
  });

  it('are not made from what is no ID, and not from one string for many', () => {
    for (const make of [() => matchId('web'), () => matchOneOf(['']), () => matchMemberOf(WEB)]) {
      expect(make).toThrow(SpiffeError);
    }
    expect(() => matchOneOf(WEB)).toThrow(TypeError);
  });
});
