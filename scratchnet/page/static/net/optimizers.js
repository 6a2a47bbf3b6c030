// Optimizers: from a gradient to a change of one parameter array, as scratchnet/optimizers.py; slots start at zero.
//
//     SGD        v = μ v - lr g                     p += v
//     RMSprop    s = ρ s + (1-ρ) g²                 p -= lr g / (√s + ε)
//     Adam       m, s = running means of g and g²   p -= lr m̂ / (√ŝ + ε)
import { mapped, tensor } from "./tensor.js";

/** name -> its settings with Python's defaults. */
export const OPTIMIZERS = {
  sgd: { lr: 0.01 },
  momentum: { lr: 0.01, momentum: 0.9 },
  rmsprop: { lr: 1e-3, rho: 0.9, eps: 1e-7 },
  adam: { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
};

/**
 * One step. name: one of OPTIMIZERS. settings: those that differ from its defaults. weight, gradient: tensors.
 * slots: null at the first step, then what the step before returned.
 * -> {weight, slots}: new tensors; the arguments are not changed.
 */
export function update(name, settings, weight, gradient, slots = null) {
  if (!(name in OPTIMIZERS)) throw new Error(`no optimizer ${name}: ${Object.keys(OPTIMIZERS).join(", ")}`);
  const chosen = { ...OPTIMIZERS[name], ...settings };
  if (name === "rmsprop") return rmspropUpdate(chosen, weight, gradient, slots ?? { s: tensor(weight.shape) });
  if (name === "adam") {
    const first = { m: tensor(weight.shape), s: tensor(weight.shape), steps: 0 };
    return adamUpdate(chosen, weight, gradient, slots ?? first);
  }
  return sgdUpdate(chosen, weight, gradient, slots ?? { v: tensor(weight.shape) });
}

function sgdUpdate({ lr, momentum = 0 }, weight, gradient, slots) {
  const v = mapped(slots.v, (value, place) => momentum * value - lr * gradient.data[place]);
  return { weight: mapped(weight, (value, place) => value + v.data[place]), slots: { v } };
}

function rmspropUpdate({ lr, rho, eps }, weight, gradient, slots) {
  const s = mapped(slots.s, (value, place) => rho * value + (1 - rho) * gradient.data[place] ** 2);
  const change = (place) => (lr * gradient.data[place]) / (Math.sqrt(s.data[place]) + eps);
  return { weight: mapped(weight, (value, place) => value - change(place)), slots: { s } };
}

function adamUpdate({ lr, beta1, beta2, eps }, weight, gradient, slots) {
  const steps = slots.steps + 1;
  const m = mapped(slots.m, (value, place) => beta1 * value + (1 - beta1) * gradient.data[place]);
  const s = mapped(slots.s, (value, place) => beta2 * value + (1 - beta2) * gradient.data[place] ** 2);
  const change = (place) => {
    const m_hat = m.data[place] / (1 - beta1 ** steps);
    const s_hat = s.data[place] / (1 - beta2 ** steps);
    return (lr * m_hat) / (Math.sqrt(s_hat) + eps);
  };
  return { weight: mapped(weight, (value, place) => value - change(place)), slots: { m, s, steps } };
}
