// Proves a node by a certificate and its key, which an operator or a provisioning system put there.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { derOfPem } from '../../../sdk/x509-svid/pem.ts';
import type { NodeAttestorAgent } from '../node-attestor-agent.ts';
import { answerChallenge, challengeKindOf, writeCertificates } from './evidence.ts';

/** Options of {@link createX509popAgent}. The files are read for each attempt, so that new ones count at once. */
export interface X509popAgentOptions {
  /** PEM: the certificate, and intermediates after it. */
  readonly certificateFile: string;
  /** PEM (PKCS#8, PKCS#1 or SEC1). */
  readonly privateKeyFile: string;
  /** PEM: further intermediates. */
  readonly intermediatesFile?: string;
}

export function createX509popAgent(options: X509popAgentOptions): NodeAttestorAgent {
  const { certificateFile, privateKeyFile, intermediatesFile } = options;
  return {
    name: 'x509pop',
    renewal: { kind: 'repeatable' },
    async begin() {
      const chain = [
        ...(await certificatesOf(certificateFile)),
        ...(intermediatesFile === undefined ? [] : await certificatesOf(intermediatesFile)),
      ];
      const privateKey = await privateKeyOf(privateKeyFile);
      return {
        payload: writeCertificates(chain),
        answer: async (challenge) => answerChallenge(challenge, privateKey),
      };
    },
  };
}

async function certificatesOf(file: string): Promise<Uint8Array[]> {
  const certificates = derOfPem('CERTIFICATE', await textOf(file));
  if (certificates.length === 0) throw new Error(`${file} holds no certificate in PEM`);
  return certificates;
}

async function privateKeyOf(file: string): Promise<KeyObject> {
  const text = await textOf(file);
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    // What the parser says may quote the file.
    throw new Error(`${file} holds no private key in PEM, or one that is encrypted`);
  }
  if (challengeKindOf(key) !== undefined) return key;
  throw new Error(`the key in ${file} is of type ${key.asymmetricKeyType}; RSA and EC keys can be proved`);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`the file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
