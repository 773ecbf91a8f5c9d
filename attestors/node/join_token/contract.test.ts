import { testNodeAttestor } from '../contract.ts';
import { createJoinTokenAgent } from './agent.ts';
import { joinTokenAttestor, joinTokenDigest } from './server.ts';

testNodeAttestor({
  name: 'join_token',
  async create() {
    const tokens = new Map([[joinTokenDigest('a-token'), { expiresAt: Infinity }]]);
    return {
      agent: createJoinTokenAgent({ file: 'nowhere', readToken: async () => 'a-token' }),
      server: joinTokenAttestor({
        take: async (digest) => {
          const token = tokens.get(digest);
          tokens.delete(digest);
          return token;
        },
      }),
    };
  },
});
