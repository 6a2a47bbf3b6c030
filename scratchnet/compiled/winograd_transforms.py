"""Winograd's transforms for F(2x2, 3x3), on vectors of channels or filters.

Each is a small matrix applied to the columns of a tile and then to its lines. The matrices have entries 0, 1, -1 and
1/2, so a product with one is written out as the additions it is:

    B^T (4 x 4)  of the image                 G (4 x 3)  of the filter              A^T (2 x 4)  of the products
        d0 - d2                                   g0                                    m0 + m1 + m2
        d1 + d2                                   (g0 + g1 + g2) / 2                    m1 - m2 - m3
        d2 - d1                                   (g0 - g1 + g2) / 2
        d1 - d3                                   g2

    A (4 x 2), G^T (3 x 4) and B (4 x 4), their transposes, take gradients back through the same steps.

A transformed tile is written to 16 *planes*: number p of every tile lies in plane p, `plane` numbers apart, so that
each plane is an ordinary matrix (tiles, channels). The functions return lines as tuples of vectors: no tile exists in
memory except as what it is loaded from and what it is stored to.
"""

from scratchnet.compiled.jit import inline
from scratchnet.compiled.simd import load, load_first, store, store_first


@inline
def image_line(d0, d1, d2, d3):
    """B^T d"""
    return d0 - d2, d1 + d2, d2 - d1, d1 - d3


@inline
def filter_line(g0, g1, g2):
    """G g"""
    return g0, 0.5 * (g0 + g1 + g2), 0.5 * (g0 - g1 + g2), g2


@inline
def output_line(m0, m1, m2, m3):
    """A^T m"""
    return m0 + m1 + m2, m1 - m2 - m3


@inline
def output_gradient_line(y0, y1):
    """A dy"""
    return y0, y0 + y1, y0 - y1, -1.0 * y1


@inline
def filter_gradient_line(u0, u1, u2, u3):
    """G^T du"""
    return u0 + 0.5 * (u1 + u2), 0.5 * (u1 - u2), 0.5 * (u1 + u2) + u3


@inline
def image_gradient_line(m0, m1, m2, m3):
    """B m"""
    return m0, m1 - m2 + m3, m1 + m2 - m0, -1.0 * m3


@inline
def store_planes(v, at, plane, line):
    """Four vectors to the same place of four consecutive planes."""
    a, b, c, d = line
    store(v, at, a)
    store(v, at + plane, b)
    store(v, at + 2 * plane, c)
    store(v, at + 3 * plane, d)


@inline
def image_column(x, at, step, left):
    """B^T of one column of an image tile; only `left` channels are there."""
    return image_line(load_first(x, at, left), load_first(x, at + step, left), load_first(x, at + 2 * step, left),
                      load_first(x, at + 3 * step, left))


@inline
def transform_image(x, at, line, c, left, v, to, plane):
    """V = B^T d B for a vector of channels of the 4x4 tile that begins at x[at]."""
    a0, a1, a2, a3 = image_column(x, at, line, left)
    b0, b1, b2, b3 = image_column(x, at + c, line, left)
    c0, c1, c2, c3 = image_column(x, at + 2 * c, line, left)
    d0, d1, d2, d3 = image_column(x, at + 3 * c, line, left)
    store_planes(v, to, plane, image_line(a0, b0, c0, d0))
    store_planes(v, to + 4 * plane, plane, image_line(a1, b1, c1, d1))
    store_planes(v, to + 8 * plane, plane, image_line(a2, b2, c2, d2))
    store_planes(v, to + 12 * plane, plane, image_line(a3, b3, c3, d3))


@inline
def filter_column(w, at, step, left):
    """G of one column of 3x3 filters; only `left` filters are there."""
    return filter_line(load_first(w, at, left), load_first(w, at + step, left), load_first(w, at + 2 * step, left))


@inline
def transform_filter(w, at, tap, left, u, to, plane):
    """U = G g G^T for a vector of filters; the taps of W are `tap` numbers apart."""
    a0, a1, a2, a3 = filter_column(w, at, 3 * tap, left)
    b0, b1, b2, b3 = filter_column(w, at + tap, 3 * tap, left)
    c0, c1, c2, c3 = filter_column(w, at + 2 * tap, 3 * tap, left)
    store_planes(u, to, plane, filter_line(a0, b0, c0))
    store_planes(u, to + 4 * plane, plane, filter_line(a1, b1, c1))
    store_planes(u, to + 8 * plane, plane, filter_line(a2, b2, c2))
    store_planes(u, to + 12 * plane, plane, filter_line(a3, b3, c3))


@inline
def product_column(m, at, plane):
    """A^T of one column of a tile of products."""
    return output_line(load(m, at), load(m, at + 4 * plane), load(m, at + 8 * plane), load(m, at + 12 * plane))


@inline
def transform_products(m, at, plane):
    """Y = A^T M A for a vector of filters   -> y00, y01, y10, y11"""
    a0, a1 = product_column(m, at, plane)
    b0, b1 = product_column(m, at + plane, plane)
    c0, c1 = product_column(m, at + 2 * plane, plane)
    d0, d1 = product_column(m, at + 3 * plane, plane)
    y00, y01 = output_line(a0, b0, c0, d0)
    y10, y11 = output_line(a1, b1, c1, d1)
    return y00, y01, y10, y11


@inline
def load_place(dy, place, j, left):
    """The vector at dy[place + j], zeros if place is negative. With a branch, the transform took 3 times longer."""
    return load_first(dy, place + j, left if place >= 0 else 0)


@inline
def store_place(y, place, j, left, vector):
    """Write the vector to y[place + j], nothing if place is negative."""
    store_first(y, place + j, vector, left if place >= 0 else 0)


@inline
def add_place(dx, place, j, left, vector):
    """Add the vector to dx[place + j], nothing if place is negative."""
    inside = left if place >= 0 else 0
    store_first(dx, place + j, load_first(dx, place + j, inside) + vector, inside)


@inline
def transform_output_gradient(dy, places, at, j, left, z, to, plane):
    """Z = A dy A^T for a vector of filters of the 2x2 tile whose positions are at dy[places[at ... at + 3]]."""
    a0, a1, a2, a3 = output_gradient_line(load_place(dy, places[at], j, left), load_place(dy, places[at + 2], j, left))
    b0, b1, b2, b3 = output_gradient_line(load_place(dy, places[at + 1], j, left),
                                          load_place(dy, places[at + 3], j, left))
    store_planes(z, to, plane, output_gradient_line(a0, b0))
    store_planes(z, to + 4 * plane, plane, output_gradient_line(a1, b1))
    store_planes(z, to + 8 * plane, plane, output_gradient_line(a2, b2))
    store_planes(z, to + 12 * plane, plane, output_gradient_line(a3, b3))


@inline
def filter_gradient_column(du, at, plane):
    """G^T of one column of a tile of dU."""
    return filter_gradient_line(load(du, at), load(du, at + 4 * plane), load(du, at + 8 * plane),
                                load(du, at + 12 * plane))


@inline
def store_taps(dw, at, tap, left, line):
    """Three vectors to three neighbouring taps of dW."""
    a, b, c = line
    store_first(dw, at, a, left)
    store_first(dw, at + tap, b, left)
    store_first(dw, at + 2 * tap, c, left)


@inline
def transform_filter_gradient(du, at, plane, dw, to, tap, left):
    """dW = G^T dU G for a vector of filters."""
    a0, a1, a2 = filter_gradient_column(du, at, plane)
    b0, b1, b2 = filter_gradient_column(du, at + plane, plane)
    c0, c1, c2 = filter_gradient_column(du, at + 2 * plane, plane)
    d0, d1, d2 = filter_gradient_column(du, at + 3 * plane, plane)
    store_taps(dw, to, tap, left, filter_gradient_line(a0, b0, c0, d0))
    store_taps(dw, to + 3 * tap, tap, left, filter_gradient_line(a1, b1, c1, d1))
    store_taps(dw, to + 6 * tap, tap, left, filter_gradient_line(a2, b2, c2, d2))


@inline
def image_gradient_column(m, at, plane):
    """B of one column of a tile of products."""
    return image_gradient_line(load(m, at), load(m, at + 4 * plane), load(m, at + 8 * plane), load(m, at + 12 * plane))


@inline
def add_line(dx, places, at, j, left, line):
    """Add four vectors to dx at the places of a line of a tile."""
    a, b, c, d = line
    add_place(dx, places[at], j, left, a)
    add_place(dx, places[at + 1], j, left, b)
    add_place(dx, places[at + 2], j, left, c)
    add_place(dx, places[at + 3], j, left, d)


@inline
def transform_image_gradient(m, at, plane, dx, places, tile, j, left):
    """dx += B M B^T for a vector of channels of the 4x4 tile whose positions are at dx[places[tile ... tile + 15]]."""
    a0, a1, a2, a3 = image_gradient_column(m, at, plane)
    b0, b1, b2, b3 = image_gradient_column(m, at + plane, plane)
    c0, c1, c2, c3 = image_gradient_column(m, at + 2 * plane, plane)
    d0, d1, d2, d3 = image_gradient_column(m, at + 3 * plane, plane)
    add_line(dx, places, tile, j, left, image_gradient_line(a0, b0, c0, d0))
    add_line(dx, places, tile + 4, j, left, image_gradient_line(a1, b1, c1, d1))
    add_line(dx, places, tile + 8, j, left, image_gradient_line(a2, b2, c2, d2))
    add_line(dx, places, tile + 12, j, left, image_gradient_line(a3, b3, c3, d3))
