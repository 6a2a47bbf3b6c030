// Random numbers that are a hash of a seed and a counter: the same as scratchnet/randomness.py draws, bit for bit.
//
//     bits(i) = mix(key + i · γ)            SplitMix64: Steele, Lea, Flood 2014 (OOPSLA)

const WORD_64 = (1n << 64n) - 1n;
const GOLDEN_64 = 0x9e3779b97f4a7c15n; // 2⁶⁴ / golden ratio

/** Scramble a 64-bit integer. */
export function mix64(z) {
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD_64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & WORD_64;
  return z ^ (z >> 31n);
}

/** One 64-bit key from several integers, such as (seed, step, draw). */
export function streamKey(...numbers) {
  return numbers.reduce((key, number) => mix64(((key ^ BigInt(number)) + GOLDEN_64) & WORD_64), 0n);
}

/** A function random(count) -> Float64Array, uniform in [0, 1); its n-th call is the n-th draw of this step. */
export function exampleRandom(seed, step = 0) {
  let draws = 0;
  return (count) => {
    draws += 1;
    let counter = streamKey(seed, step, draws);
    const numbers = new Float64Array(count);
    for (let i = 0; i < count; i += 1) {
      numbers[i] = Number(mix64(counter) >> 11n) * 2 ** -53;
      counter = (counter + GOLDEN_64) & WORD_64;
    }
    return numbers;
  };
}
