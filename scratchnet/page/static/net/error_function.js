// The error function, which JavaScript does not have.
//
//     erf(x) = 2/√π ∫₀ˣ exp(-t²) dt = 2/√π exp(-x²) Σ_n 2ⁿ x²ⁿ⁺¹ / (1 · 3 · 5 ⋯ (2n+1))
//
// All terms of this series have the same sign, so that nothing cancels. Beyond 6 erf is 1 in float64.

/** erf(x), of one number. NaN stays NaN. */
export function erf(x) {
  if (Math.abs(x) >= 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
