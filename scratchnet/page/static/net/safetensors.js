// A reader of safetensors files, with the bounds of scratchnet/saving/container.py.
//
//     8 bytes     n, the length of the header, little-endian
//     n bytes     JSON: {"0.dense.W": {"dtype": "F32", "shape": [784, 10], "data_offsets": [0, 31360]}, ...}
//     the rest    the arrays, one behind the other, little-endian, in C order
//
// Every number of the header is checked before an array is made.
import { countOf } from "./tensor.js";

const HEADER_BYTES = 1 << 20;
const ARRAY_COUNT = 4096;
const NUMBERS = {
  F32: [4, (view, place) => view.getFloat32(place, true)],
  F64: [8, (view, place) => view.getFloat64(place, true)],
};

/** ArrayBuffer -> {metadata: {name: text}, tensors: {name: {shape, data: Float64Array}}}. */
export function readSafetensors(buffer) {
  const length = headerLength(buffer);
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, length)));
  const { __metadata__: metadata = {}, ...entries } = header;
  const rows = Object.entries(entries).map(([name, about]) => checkedEntry(name, about));
  if (rows.length > ARRAY_COUNT) throw new Error(`${rows.length} arrays, where ${ARRAY_COUNT} are allowed`);
  checkPlaces(rows, buffer.byteLength - 8 - length);
  const tensors = {};
  for (const row of rows) tensors[row.name] = readArray(new DataView(buffer, 8 + length + row.begin), row);
  return { metadata, tensors };
}

function headerLength(buffer) {
  const size = buffer.byteLength;
  const length = size < 8 ? 0n : new DataView(buffer).getBigUint64(0, true);
  if (length < 2n || length > BigInt(size - 8)) throw new Error(`not a safetensors file, or cut off (${size} bytes)`);
  if (length > BigInt(HEADER_BYTES)) throw new Error(`a header of ${length} bytes, where ${HEADER_BYTES} are allowed`);
  return Number(length);
}

function checkedEntry(name, about) {
  const isCounts = (value) => Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
  const { dtype, shape, data_offsets: offsets } = about ?? {};
  if (!Object.hasOwn(NUMBERS, dtype)) throw new Error(`${name} has dtype ${dtype}, which is not one of F32, F64`);
  if (!isCounts(shape) || shape.length > 8 || !isCounts(offsets) || offsets.length !== 2) {
    throw new Error(`${name} must have a shape of at most 8 sizes and two offsets`);
  }
  const [begin, end] = offsets;
  if (end - begin !== countOf(shape) * NUMBERS[dtype][0]) {
    throw new Error(`${name}: ${dtype} ${shape.join("×")} does not take the ${end - begin} bytes it is given`);
  }
  return { name, dtype, shape, begin, end };
}

function checkPlaces(rows, available) {
  let place = 0;
  for (const row of [...rows].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (row.begin !== place) throw new Error(`${row.name} begins at byte ${row.begin}, expected ${place}`);
    place = row.end;
  }
  if (place !== available) throw new Error(`cut off, or too long: ${available} bytes of arrays, expected ${place}`);
}

function readArray(view, { dtype, shape }) {
  const [bytes, read] = NUMBERS[dtype];
  const data = new Float64Array(countOf(shape));
  for (let n = 0; n < data.length; n += 1) data[n] = read(view, n * bytes);
  return { shape, data };
}
