// The terms of the pools; see scratchnet/page/terms/pooling.py.
//
// A max-pool's y has a term for every number of its window: the winner counts once, the others not at all. Its dx has a
// term for every window that the pixel is in: dy where the pixel won, and exactly 0 where another one did.
import { inputFactor, partsOf, productOf, termOf, upstreamFactor } from "./parts.js";
import { eachPixel, eachWindow } from "./windows.js";
import { indexOf, offset } from "./tensor.js";
import { pixelsIn } from "./pool.js";

/** The indices of the pixels of a window, in one channel. */
export function placesIn(record, [i, j, c]) {
  const places = [];
  eachPixel(record.layer.settings.windows, record.x.shape, i, j, (di, dj, place) => {
    places.push([...indexOf(record.x.shape, place).slice(0, 2), c]);
  });
  return places;
}

/** The index in x of the largest number of the window of output `index`. */
export function winnerOf(record, index) {
  return indexOf(record.x.shape, record.cache[offset(record.y.shape, ...index)]);
}

export function maxOutput(record, index) {
  const won = winnerOf(record, index).join();
  const terms = placesIn(record, index).map((place) => {
    const largest = place.join() === won;
    const label = largest ? "the largest" : "not the largest";
    return productOf([inputFactor(record, place)], { times: Number(largest), label });
  });
  return partsOf("y[i, j, c] = max of the window", terms);
}

export function maxInput(record, [row, column, c]) {
  const terms = [];
  eachWindow(record.layer.settings.windows, row, column, (i, j) => {
    const won = inputFactor(record, winnerOf(record, [i, j, c]));
    const isOwn = won.address === inputFactor(record, [row, column, c]).address;
    const dy = upstreamFactor(record, [i, j, c]);
    terms.push(termOf(isOwn ? dy.value : 0, [dy, won], isOwn ? "won" : `lost to ${won.address}`, `window ${i},${j}`));
  });
  return partsOf("dx = Σ dy of the windows in which this number is the largest", terms);
}

export function averageOutput(record, index) {
  const places = placesIn(record, index);
  const terms = places.map((place) => productOf([inputFactor(record, place)], { times: 1 / places.length }));
  return partsOf("y[i, j, c] = Σ x / m over the m pixels of the window", terms);
}

export function averageInput(record, [row, column, c]) {
  const win = record.layer.settings.windows;
  const terms = [];
  eachWindow(win, row, column, (i, j) => {
    const times = 1 / pixelsIn(win, record.x.shape, i, j);
    terms.push(productOf([upstreamFactor(record, [i, j, c])], { times, group: `window ${i},${j}` }));
  });
  return partsOf("dx = Σ dy / m over the windows with this pixel", terms);
}

export function globalOutput(record, [c]) {
  const [h, w] = record.x.shape;
  const terms = [];
  for (let i = 0; i < h; i += 1) {
    for (let j = 0; j < w; j += 1) {
      terms.push(productOf([inputFactor(record, [i, j, c])], { times: 1 / (h * w), group: `row ${i}` }));
    }
  }
  return partsOf("y[c] = Σ x[i, j, c] / (h·w)", terms);
}

export function globalInput(record, [, , c]) {
  const [h, w] = record.x.shape;
  return partsOf("dx[i, j, c] = dy[c] / (h·w)", [productOf([upstreamFactor(record, [c])], { times: 1 / (h * w) })]);
}
