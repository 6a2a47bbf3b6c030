// The terms of a parameter after one first step of an optimizer: the parameter, and what the step adds to it.
import { OPTIMIZERS, update } from "./optimizers.js";
import { arrayFactor, gradientFactor, partsOf, productOf, termOf } from "./parts.js";
import { tensor } from "./tensor.js";

const STEP_FORMULAS = {
  sgd: "W' = W - lr · g",
  momentum: "v' = μ v - lr · g,  W' = W + v'",
  rmsprop: "s' = ρ s + (1-ρ) g²,  W' = W - lr · g / (√s' + ε)",
  adam: "W' = W - lr · m̂ / (√ŝ + ε)",
};

/** g = dW, and with the layer's l2 = λ, dW + 2 λ W: the gradient that an optimizer gets. */
export function penalised(record, name) {
  const { l2 = 0 } = record.layer.settings;
  const gradient = record.gradients[name];
  if (name !== "W" || !l2) return gradient;
  const weight = record.layer.parameters.W;
  return tensor(
    gradient.shape,
    gradient.data.map((value, place) => value + 2 * l2 * weight.data[place]),
  );
}

/** step: {name, settings} of `update`. -> {value, formula, terms, constant} of W after it. */
export function newWeight(record, name, index, step) {
  const before = arrayFactor(record, name, index);
  const first = productOf([before], { label: "before" });
  if (!record.layer.trainable) return { value: before.value, ...partsOf("W' = W: the layer is frozen", [first]) };
  const dW = gradientFactor(record, name, index);
  const l2 = name === "W" ? 2 * (record.layer.settings.l2 ?? 0) : 0;
  const g = dW.value + l2 * before.value;
  const after = update(step.name, step.settings, tensor([1], [before.value]), tensor([1], [g])).weight.data[0];
  return { value: after, ...partsOf(STEP_FORMULAS[step.name], [first, ...changeTerms(step, before, dW, l2, g)]) };
}

function changeTerms(step, before, dW, l2, g) {
  const { lr, rho, eps, beta1, beta2 } = { ...OPTIMIZERS[step.name], ...step.settings };
  if (step.name === "rmsprop") {
    const s = (1 - rho) * g ** 2;
    return [termOf((-lr * g) / (Math.sqrt(s) + eps), [dW], `s' = ${s.toPrecision(4)}`)];
  }
  if (step.name === "adam") {
    const m_hat = ((1 - beta1) * g) / (1 - beta1);
    const s_hat = ((1 - beta2) * g ** 2) / (1 - beta2);
    const label = `m̂ = ${m_hat.toPrecision(4)}, ŝ = ${s_hat.toPrecision(4)}`;
    return [termOf((-lr * m_hat) / (Math.sqrt(s_hat) + eps), [dW], label)];
  }
  const terms = [productOf([dW], { times: -lr, label: `${-lr} · dW` })];
  return l2 ? [...terms, productOf([before], { times: -lr * l2, label: "l2" })] : terms;
}
