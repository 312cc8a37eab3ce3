// The provider's signing keys: made at start, replaced when the test says so. The first of an algorithm signs.
import { generateKeyPairSync } from 'node:crypto';

const KINDS = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};

export const ALGORITHMS = Object.keys(KINDS);

let made = 0;

function key(alg) {
  const jwk = KINDS[alg]().privateKey.export({ format: 'jwk' });
  made += 1;
  return { ...jwk, alg, use: 'sig', kid: `${alg.toLowerCase()}-${made}` };
}

export class Keys {
  #keys;

  constructor(algorithms) {
    this.#keys = algorithms.map(key);
  }

  /** All of them, with their private parts. */
  get all() {
    return this.#keys;
  }

  /** Which key signs. */
  signing(alg) {
    const found = this.#keys.find((known) => known.alg === alg);
    if (!found) throw new Error(`no key for ${alg}`);
    return found.kid;
  }

  /** A new key signs from now on; the old ones stay published, or go. */
  rotate(alg, keepsOld) {
    const rest = keepsOld ? this.#keys : this.#keys.filter((known) => known.alg !== alg);
    this.#keys = [key(alg), ...rest];
    return this.signing(alg);
  }
}
