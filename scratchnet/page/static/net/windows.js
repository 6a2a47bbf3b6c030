// Sliding windows: which pixels of the image lie in the window of one output.

/**
 * Calls visit(di, dj, place) for each pixel in the window of output (i, j): its row and column within the window, and
 * the place of its first channel in the image's data. What lies in the padding is left out.
 * win: {k_h, k_w, stride_h, stride_w, top, left, out_h, out_w}, from Python. shape: the image's (h, w, c).
 */
export function eachPixel(win, shape, i, j, visit) {
  const [h, w, c] = shape;
  for (let di = 0; di < win.k_h; di += 1) {
    const row = i * win.stride_h + di - win.top;
    if (row < 0 || row >= h) continue;
    for (let dj = 0; dj < win.k_w; dj += 1) {
      const column = j * win.stride_w + dj - win.left;
      if (column < 0 || column >= w) continue;
      visit(di, dj, (row * w + column) * c);
    }
  }
}

/**
 * The other way round: visit(i, j, di, dj) for each window that contains the pixel (row, column), and where in it.
 * A pixel in the middle is in k_h·k_w windows at stride 1: that is how many gradients come back to it.
 */
export function eachWindow(win, row, column, visit) {
  for (let di = 0; di < win.k_h; di += 1) {
    const i = (row + win.top - di) / win.stride_h;
    if (!Number.isInteger(i) || i < 0 || i >= win.out_h) continue;
    for (let dj = 0; dj < win.k_w; dj += 1) {
      const j = (column + win.left - dj) / win.stride_w;
      if (!Number.isInteger(j) || j < 0 || j >= win.out_w) continue;
      visit(i, j, di, dj);
    }
  }
}
