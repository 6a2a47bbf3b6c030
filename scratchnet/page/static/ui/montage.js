/** The maps of a tensor side by side on one canvas, and which map and cell lies under a point of it. */
import { magnitudeColour, signedColour, theme } from "./colours.js";

/** How `count` maps of h × w are laid out: {columns, rows, width, height}, one canvas pixel between maps. */
export function montageLayout([h, w, count], columns = Math.ceil(Math.sqrt(count))) {
  const rows = Math.ceil(count / columns);
  return { columns, rows, width: columns * (w + 1) - 1, height: rows * (h + 1) - 1 };
}

/** A tensor of any shape as maps: (h, w, c) as it is; a vector as one map, close to a square. */
export function asMaps(t) {
  if (t.shape.length === 3) return t;
  const count = t.data.length;
  const w = count <= 16 ? count : Math.ceil(Math.sqrt(count));
  const h = Math.ceil(count / w);
  const data = new Float64Array(h * w);
  data.set(t.data);
  return { shape: [h, w, 1], data, count };
}

/** Draw maps. scale, signed: as of `heatmap`, the same for all of them. gap: the colour between maps. */
export function montage(canvas, maps, { scale, signed = true, columns } = {}) {
  const [h, w, channels] = maps.shape;
  const layout = montageLayout(maps.shape, columns);
  const colours = theme();
  const colour = signed ? signedColour : magnitudeColour;
  if (canvas.width !== layout.width) canvas.width = layout.width;
  if (canvas.height !== layout.height) canvas.height = layout.height;
  const image = new ImageData(layout.width, layout.height); // transparent between the maps
  for (let c = 0; c < channels; c++) {
    const [top, left] = [Math.floor(c / layout.columns) * (h + 1), (c % layout.columns) * (w + 1)];
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        if (i * w + j >= (maps.count ?? Infinity)) continue;
        const rgb = colour(maps.data[(i * w + j) * channels + c], scale, colours);
        image.data.set([...rgb, 255], 4 * ((top + i) * layout.width + left + j));
      }
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return layout;
}
