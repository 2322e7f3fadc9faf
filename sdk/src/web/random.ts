import { host } from "./platform";

/**
 * Random bytes that nobody can foretell: ChaCha20 (RFC 8439) under a key that the guild process got from its
 * kernel after the fork. The key is replaced with each block of output, so that what was drawn before cannot be
 * computed from what is in memory now.
 */
const BLOCKS = 16;
const KEY_WORDS = 8;

let key: Uint32Array | null = null;
let pool = new Uint8Array(0);
let used = 0;

export function randomBytes(out: Uint8Array): void {
  let at = 0;
  while (at < out.length) {
    if (used === pool.length) refill();
    const count = Math.min(out.length - at, pool.length - used);
    out.set(pool.subarray(used, used + count), at);
    pool.fill(0, used, used + count);
    used += count;
    at += count;
  }
}

function refill(): void {
  if (key === null) {
    const seed = host().takeEntropy();
    if (seed.length < KEY_WORDS * 8) throw new Error("there is no randomness here");
    key = new Uint32Array(Uint8Array.fromHex(seed.slice(0, KEY_WORDS * 8)).buffer);
  }
  const words = new Uint32Array(BLOCKS * 16);
  for (let block = 0; block < BLOCKS; block++) chacha20(key, block, words.subarray(block * 16, block * 16 + 16));
  key = words.slice(0, KEY_WORDS);
  words.fill(0, 0, KEY_WORDS);
  pool = new Uint8Array(words.buffer, KEY_WORDS * 4);
  used = 0;
}

/** One block, under a nonce of zeros: a key makes one stream only. */
export function chacha20(key: Uint32Array, counter: number, out: Uint32Array): void {
  const start = new Uint32Array(16);
  start.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  start.set(key, 4);
  start[12] = counter;
  const x = start.slice();
  const quarter = (a: number, b: number, c: number, d: number): void => {
    x[a] = x[a]! + x[b]!;
    x[d] = rotated(x[d]! ^ x[a]!, 16);
    x[c] = x[c]! + x[d]!;
    x[b] = rotated(x[b]! ^ x[c]!, 12);
    x[a] = x[a]! + x[b]!;
    x[d] = rotated(x[d]! ^ x[a]!, 8);
    x[c] = x[c]! + x[d]!;
    x[b] = rotated(x[b]! ^ x[c]!, 7);
  };
  for (let round = 0; round < 10; round++) {
    quarter(0, 4, 8, 12);
    quarter(1, 5, 9, 13);
    quarter(2, 6, 10, 14);
    quarter(3, 7, 11, 15);
    quarter(0, 5, 10, 15);
    quarter(1, 6, 11, 12);
    quarter(2, 7, 8, 13);
    quarter(3, 4, 9, 14);
  }
  for (let i = 0; i < 16; i++) out[i] = x[i]! + start[i]!;
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
