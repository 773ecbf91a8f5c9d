// Plain JWK Sets, the form in which the Workload API hands out JWT and WIT bundles: every element has a `kid`.
import type { KeyObject } from 'node:crypto';
import { SpiffeError, messageOf } from '../error.ts';
import { parseJsonObject } from '../json/parse.ts';
import { stringifyJson } from '../json/stringify.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import {
  forEachElement,
  KeyCollector,
  readTokenKeyElement,
  type KeyUse,
  type SkippedElement,
} from './elements.ts';
import { publicJwkOf } from './jwk.ts';

export type { SkippedElement } from './elements.ts';

/** Reads a JWK Set whose elements have no `use`, or the given one; elements of another use are skipped. */
export function parseKeySet(
  trustDomain: TrustDomain,
  document: string | Uint8Array,
  use: KeyUse,
  onSkipped?: (skipped: SkippedElement) => void,
): ReadonlyMap<string, KeyObject> {
  const collector = new KeyCollector();
  try {
    const { keys } = parseJsonObject(document);
    forEachElement(
      keys,
      (element) => {
        if (element['use'] !== undefined && element['use'] !== use) {
          throw new SpiffeError('ERR_BUNDLE', `the element has another use than ${use}`);
        }
        const { keyId, key } = readTokenKeyElement(element);
        collector.add(keyId, key);
      },
      onSkipped,
    );
  } catch (cause) {
    throw new SpiffeError('ERR_BUNDLE', `${use} bundle of ${trustDomain}: ${messageOf(cause)}`, { cause });
  }
  return collector.keys;
}

/** Writes keys as a JWK Set of `kid` and key members alone. */
export function serializeKeySet(keys: ReadonlyMap<string, KeyObject>): string {
  return stringifyJson({ keys: [...keys].map(([kid, key]) => ({ kid, ...publicJwkOf(key) })) });
}
