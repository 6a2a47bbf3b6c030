// A tensor: its shape, and its numbers in C order, channels last. One image at a time: there is no batch axis.

/** Numbers of this shape: zeros, or `data` (an array that holds as many). -> {shape: [..], data: Float64Array} */
export function tensor(shape, data = null) {
  const count = countOf(shape);
  if (data !== null && data.length !== count) {
    throw new Error(`a tensor of ${shape.join("×")} holds ${count} numbers, got ${data.length}`);
  }
  return { shape: [...shape], data: data === null ? new Float64Array(count) : Float64Array.from(data) };
}

/** How many numbers a shape holds: their product, 1 for []. */
export function countOf(shape) {
  return shape.reduce((product, n) => product * n, 1);
}

/** The place in `data` of the number at an index: [2, 3] of (4, 5) -> 13. */
export function offset(shape, ...index) {
  return index.reduce((place, i, axis) => place * shape[axis] + i, 0);
}

/** The number at an index. */
export function at(t, ...index) {
  return t.data[offset(t.shape, ...index)];
}

/** The index of the number at a place in `data`: 13 of (4, 5) -> [2, 3]. */
export function indexOf(shape, place) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    index.unshift(place % shape[axis]);
    place = Math.floor(place / shape[axis]);
  }
  return index;
}

/** f(number, place) of every number, in the same shape. */
export function mapped(t, f) {
  return { shape: [...t.shape], data: t.data.map(f) };
}

/** The same numbers in another shape; the data is shared. */
export function reshaped(t, shape) {
  return { shape: [...shape], data: t.data };
}

/** a + b, number by number. */
export function added(a, b) {
  return mapped(a, (value, place) => value + b.data[place]);
}
