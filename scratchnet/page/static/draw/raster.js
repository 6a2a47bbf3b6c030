/**
 * Strokes of a pen, drawn as MNIST's digits were: the twin of scratchnet/data/drawing.py, byte for byte.
 *
 *     box      the points are scaled so that the ink's longer side is `box` = 20 pixels, proportions kept
 *     ink      coverage of a pixel = ½ + (pen/2 - distance of its centre to the nearest segment) / softness
 *     field    shifted by whole pixels, until the centre of mass is at the centre, as in MNIST
 *
 * Only + - × ÷ √, comparisons and rounding, in float64 and in the order of the Python file. Math.hypot is not exactly
 * rounded, and is not used.
 */

/** Pixels of a 28 × 28 field; pixels in which the edge fades; the drawn pen as a share of the drawing field. */
export const fixedPen = 2.45;
export const softness = 1.1;
export const drawnPen = 0.06;

/**
 * strokes: [[[x, y], …], …], shares of the field's side, y downwards -> Uint8Array of size × size, white on black.
 * box: null for the place and size as drawn. centre: shift the centre of mass. pen: null for a pen that is scaled.
 */
export function digitFromStrokes(strokes, { size = 28, box = 20, centre = true, pen = fixedPen } = {}) {
  const drawn = strokes.map(withoutRepeats).filter((points) => points.length > 0);
  if (drawn.length === 0) return new Uint8Array(size * size);
  const { placed, width } = placeInBox(drawn, size, box, pen);
  const ink = inkStrokes(placed, size, width);
  return centre ? centreOfMass(ink, size).field : ink;
}

/** The points without those that repeat the one before. */
export function withoutRepeats(points) {
  return points.filter(([x, y], k) => k === 0 || x !== points[k - 1][0] || y !== points[k - 1][1]);
}

/** The points in pixels, and the pen's width in pixels. */
export function placeInBox(drawn, size, box, pen) {
  if (box === null) {
    const width = pen === null ? drawnPen * size : pen;
    return { placed: drawn.map((points) => points.map(([x, y]) => [x * size, y * size])), width };
  }
  const { left, top, right, bottom } = boxOf(drawn);
  const [extentX, extentY] = [right - left, bottom - top];
  const longer = Math.max(extentX, extentY);
  const drawnScale = (box + 1 - softness) / (longer + drawnPen);
  const scale = pen === null ? drawnScale : longer > 0 ? (box + 1 - softness - pen) / longer : 1;
  const width = pen === null ? drawnPen * scale : pen;
  const [cornerX, cornerY] = [(size - extentX * scale) / 2, (size - extentY * scale) / 2];
  const place = ([x, y]) => [(x - left) * scale + cornerX, (y - top) * scale + cornerY];
  return { placed: drawn.map((points) => points.map(place)), width };
}

/** The smallest box around all points. */
export function boxOf(strokes) {
  const found = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const points of strokes) {
    for (const [x, y] of points) {
      found.left = Math.min(found.left, x);
      found.top = Math.min(found.top, y);
      found.right = Math.max(found.right, x);
      found.bottom = Math.max(found.bottom, y);
    }
  }
  return found;
}

/**
 * Uint8Array (size × size): the coverage of each pixel. The distance of a pixel's centre c to the segment from a to b is
 * that to a + t (b - a), t = (c-a)·(b-a) / |b-a|² between 0 and 1. Pixels far from a segment keep their distance to
 * others: their coverage by this one is 0.
 */
export function inkStrokes(strokes, size, width) {
  const nearest = new Float64Array(size * size).fill(Infinity); // squared distances
  const reach = width / 2 + softness;
  for (const points of strokes) {
    for (let k = 0; k < Math.max(points.length - 1, 1); k++) {
      nearestTo(nearest, size, reach, points[k], points[Math.min(k + 1, points.length - 1)]);
    }
  }
  return Uint8Array.from(nearest, (square) => {
    const coverage = Math.min(Math.max((width / 2 - Math.sqrt(square)) / softness + 0.5, 0), 1);
    return Math.floor(coverage * 255 + 0.5);
  });
}

function nearestTo(nearest, size, reach, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const square = dx * dx + dy * dy;
  const first = (a, b) => Math.max(Math.floor(Math.min(a, b) - reach), 0);
  const last = (a, b) => Math.min(Math.ceil(Math.max(a, b) + reach), size - 1);
  for (let i = first(ay, by); i <= last(ay, by); i++) {
    for (let j = first(ax, bx); j <= last(ax, bx); j++) {
      const [cx, cy] = [j + 0.5 - ax, i + 0.5 - ay];
      const t = square > 0 ? Math.min(Math.max((cx * dx + cy * dy) / square, 0), 1) : 0;
      const [ex, ey] = [cx - t * dx, cy - t * dy];
      const distance = ex * ex + ey * ey;
      if (distance < nearest[i * size + j]) nearest[i * size + j] = distance;
    }
  }
}

/**
 * The ink shifted by whole pixels: its centre of mass is at the centre or less than a pixel after it, and nothing is cut
 * off -> {field, mass: [row, column] of the centre of mass before, shift: [rows, columns]}.
 */
export function centreOfMass(ink, size) {
  const [rows, columns] = [new Float64Array(size), new Float64Array(size)];
  ink.forEach((value, p) => {
    rows[Math.floor(p / size)] += value;
    columns[p % size] += value;
  });
  const field = new Uint8Array(size * size);
  if (!rows.some((mass) => mass > 0)) return { field, mass: null, shift: [0, 0] };
  const [row, column] = [profileShift(rows), profileShift(columns)];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      if (ink[i * size + j]) field[(i + row.shift) * size + j + column.shift] = ink[i * size + j];
    }
  }
  return { field, mass: [row.moment, column.moment], shift: [row.shift, column.shift] };
}

function profileShift(mass) {
  const size = mass.length;
  let [sum, moment, first, last] = [0, 0, size, 0];
  for (let k = 0; k < size; k++) {
    sum += mass[k];
    moment += k * mass[k];
    if (mass[k] > 0) [first, last] = [Math.min(first, k), k];
  }
  const shift = Math.ceil((size - 1) / 2 - moment / sum);
  return { moment: moment / sum, shift: Math.min(Math.max(shift, -first), size - 1 - last) };
}
