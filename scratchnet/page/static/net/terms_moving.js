// The terms of layers that only move numbers, Flatten, Cropping2D and ZeroPadding2D; and of Residual, which adds two.
import { downstreamFactor, inputFactor, outputFactor, partsOf, productOf, upstreamFactor } from "./parts.js";
import { indexOf, offset } from "./tensor.js";

export function flattenOutput(record, [place]) {
  return partsOf("y[(i·w + j)·c + k] = x[i, j, k]", [productOf([inputFactor(record, indexOf(record.x.shape, place))])]);
}

export function flattenInput(record, index) {
  const place = offset(record.x.shape, ...index);
  return partsOf("dx[i, j, k] = dy[(i·w + j)·c + k]", [productOf([upstreamFactor(record, [place])])]);
}

/** [top, left]: by how much the layer moves the image down and to the right. */
export function borderOf(record) {
  const { border, padding } = record.layer.settings;
  return record.kind === "Cropping2D" ? [-border[0], -border[1]] : [padding[0][0], padding[1][0]];
}

export function borderOutput(record, [i, j, c]) {
  const [top, left] = borderOf(record);
  const source = [i - top, j - left, c];
  const formula = "y[i, j, c] = x[i - top, j - left, c], and 0 where the image is not";
  return partsOf(formula, isInside(source, record.x.shape) ? [productOf([inputFactor(record, source)])] : []);
}

export function borderInput(record, [i, j, c]) {
  const [top, left] = borderOf(record);
  const target = [i + top, j + left, c];
  const formula = "dx[i, j, c] = dy[i + top, j + left, c], and 0 where the pixel was cut off";
  return partsOf(formula, isInside(target, record.y.shape) ? [productOf([upstreamFactor(record, target)])] : []);
}

/** Whether a tensor of this shape has the index. */
export function isInside(index, shape) {
  return index.length === shape.length && index.every((i, axis) => i >= 0 && i < shape[axis]);
}

export function residualOutput(record, index) {
  const way = record.shortcut.length ? outputFactor(record.shortcut.at(-1), index) : inputFactor(record, index);
  return partsOf("y = f(x) + s(x)", [
    productOf([outputFactor(record.stages.at(-1), index)], { label: "branch", group: "branch" }),
    productOf([way], { label: "shortcut", group: "shortcut" }),
  ]);
}

export function residualInput(record, index) {
  const way = record.shortcut.length ? downstreamFactor(record.shortcut[0], index) : upstreamFactor(record, index);
  return partsOf("dx = (∂f/∂x)ᵀ dy + (∂s/∂x)ᵀ dy", [
    productOf([downstreamFactor(record.stages[0], index)], { label: "branch", group: "branch" }),
    productOf([way], { label: "shortcut", group: "shortcut" }),
  ]);
}
