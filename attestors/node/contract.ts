// For tests only: what both halves of every node attestor keep to, run against each.
import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { NodeAttestorAgent } from './node-attestor-agent.ts';
import type { NodeAttestation, NodeAttestorServer, NodePeer } from './node-attestor-server.ts';

/** How the suite gets at an attestor. */
export interface NodeAttestorSubject {
  readonly name: string;
  /** Both halves, such that the agent can prove itself once at least. */
  create(): Promise<{ readonly agent: NodeAttestorAgent; readonly server: NodeAttestorServer }>;
}

/** The suite. */
export function testNodeAttestor(subject: NodeAttestorSubject): void {
  describe(`as a node attestor, ${subject.name}`, () => {
    test('both halves have its name, and so have selectors and the path of the agent', async () => {
      const { agent, server } = await subject.create();
      expect([agent.name, server.type]).toEqual([subject.name, subject.name]);
      const { attestation } = await attest(server, agent);
      expect(attestation.agentPath).toMatch(new RegExp(`^/spire/agent/${subject.name}/[A-Za-z0-9._/-]+$`));
      for (const { type, value } of attestation.selectors) {
        expect(type).toBe(subject.name);
        expect(value).not.toBe('');
      }
      expect(attestation.canReattest).toBe(agent.renewal.kind === 'repeatable');
    });

    test('a proof that can be repeated gives the same agent again, by a fresh challenge', async () => {
      const { agent, server } = await subject.create();
      const first = await attest(server, agent);
      if (agent.renewal.kind === 'manual') {
        await expect(attest(server, agent)).rejects.toThrow(RpcError);
        return;
      }
      const second = await attest(server, agent);
      expect(second.attestation).toEqual(first.attestation);
      for (const challenge of second.challenges) expect(first.challenges).not.toContain(challenge);
    });

    test('an answer to another challenge is refused', async () => {
      const { agent, server } = await subject.create();
      if ((await attest(server, agent)).challenges.length === 0) return;
      const { payload, answer } = await agent.begin();
      const [one, two] = [server.attest(payload), server.attest(payload)];
      const other = (await one.next()).value as Uint8Array;
      await two.next();
      await expect(two.next(await answer!(other))).rejects.toThrow(RpcError);
    });

    test('what is no proof is refused with a status, and never repeated', async () => {
      const { agent, server } = await subject.create();
      const { payload } = await agent.begin();
      const truncated = payload.subarray(0, payload.length - 1);
      const garbage = [
        'secret-4711',
        '{}',
        '{"certificates":[]}',
        '[',
        '\0'.repeat(100),
        'x'.repeat(300_000),
      ];
      for (const bytes of [truncated, ...garbage.map((text) => Buffer.from(text))]) {
        const error = await server
          .attest(bytes)
          .next()
          .then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
        expect(error).toBeInstanceOf(RpcError);
        expect((error as RpcError).message).not.toContain('4711');
        expect((error as RpcError).message.length).toBeLessThan(300);
      }
    });
  });
}

/** Plays an attestation through; the challenges come as text, for comparison. */
export async function attest(
  server: NodeAttestorServer,
  agent: NodeAttestorAgent,
  peer?: NodePeer,
): Promise<{ readonly attestation: NodeAttestation; readonly challenges: readonly string[] }> {
  const { payload, answer } = await agent.begin();
  const steps = server.attest(payload, peer);
  const challenges: string[] = [];
  let step = await steps.next();
  while (step.done !== true) {
    challenges.push(Buffer.from(step.value).toString());
    step = await steps.next(await answer!(step.value));
  }
  return { attestation: step.value, challenges };
}
