/** Numbers that Python put into 8 bits (scratchnet/page/observe.py: packed): value = scale · level / 127. */
import { bytesOf } from "../load.js";
import { tensor } from "../net/tensor.js";

/** {shape, scale, levels: base64 of int8} -> tensor. */
export function unpackLevels({ shape, scale, levels }) {
  return tensor(shape, Float64Array.from(new Int8Array(bytesOf(levels)), (level) => (scale * level) / 127));
}
