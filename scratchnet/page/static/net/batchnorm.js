// Batch normalisation: give every channel mean 0 and variance 1, then let it choose its own again.
//
//     x̂ = (x - μ) / √(σ² + ε)            y = γ x̂ + β
//
// In evaluation μ and σ² are running averages gathered in training, constants of the model. In training they are those
// of the batch, here of this one image: m = h·w numbers per channel.
import { mapped, tensor } from "./tensor.js";

/** Any shape; channels last. cache: {x_hat, mean, var, scale, m}, with m = 0 where μ and σ² are constants. */
export function batchNormForward(layer, x, training) {
  const { gamma, beta } = layer.parameters;
  const c = gamma.data.length;
  const own = training && layer.trainable;
  const { mean, variance, m } = own ? imageStatistics(x, c) : runningStatistics(layer);
  const scale = mapped(variance, (value) => 1 / Math.sqrt(value + layer.settings.epsilon));
  const x_hat = mapped(x, (value, place) => (value - mean.data[place % c]) * scale.data[place % c]);
  const y = mapped(x_hat, (value, place) => gamma.data[place % c] * value + beta.data[place % c]);
  return { y, cache: { x_hat, mean, var: variance, scale, m } };
}

/** dγ = Σ dy x̂, dβ = Σ dy. dx = γ/√(σ² + ε) · dy, and in training dy without its mean and its part along x̂. */
export function batchNormBackward(layer, dy, cache) {
  const { gamma } = layer.parameters;
  const { x_hat, scale, m } = cache;
  const c = gamma.data.length;
  const gradients = { gamma: tensor([c]), beta: tensor([c]) };
  for (let place = 0; place < dy.data.length; place += 1) {
    gradients.gamma.data[place % c] += dy.data[place] * x_hat.data[place];
    gradients.beta.data[place % c] += dy.data[place];
  }
  const dx = mapped(dy, (value, place) => {
    const k = place % c;
    const removed = m ? gradients.beta.data[k] / m + (x_hat.data[place] * gradients.gamma.data[k]) / m : 0;
    return gamma.data[k] * scale.data[k] * (value - removed);
  });
  return { dx, gradients };
}

/** Mean and variance of each channel over the image's m positions. */
export function imageStatistics(x, c) {
  const m = x.data.length / c;
  const mean = tensor([c]);
  const variance = tensor([c]);
  for (let place = 0; place < x.data.length; place += 1) mean.data[place % c] += x.data[place] / m;
  for (let place = 0; place < x.data.length; place += 1) {
    variance.data[place % c] += (x.data[place] - mean.data[place % c]) ** 2 / m;
  }
  return { mean, variance, m };
}

/** What was gathered in training. */
export function runningStatistics(layer) {
  return { mean: layer.state.running_mean, variance: layer.state.running_var, m: 0 };
}
