"""Winograd's transforms for F(4x4, 3x3), on vectors of channels or filters.

Convolution multiplies polynomials, and Winograd's way is to multiply their values at some points instead, and to find
the polynomial that has these values. Any points will do. For F(2x2, 3x3) they are 0, 1, -1 and infinity; here

    0,   NEAR, -NEAR,   FAR, -FAR,   infinity               NEAR = 1 / sqrt(2), FAR = sqrt(2)

whose powers stay close to 1: rounding costs a quarter of what it costs at the points 0, 1, -1, 2, -2 of the textbooks.
A point and its negative share their work. Their even powers are equal and their odd powers opposite, so the two rows
that belong to them are `even + odd` and `even - odd`:

    B^T (6 x 6)  of the image                                   even                     odd
        d0 - 5/2 d2 + d4       first row                NEAR    d4 - 2 d2                NEAR (d3 - 2 d1)
        d1 - 5/2 d3 + d5       last row                 FAR     d4 - 1/2 d2              FAR (d3 - 1/2 d1)

    G (6 x 3)  of the filter
        g0                     first row                NEAR    -2/3 (g0 + 1/2 g2)       -2/3 NEAR g1
        g2                     last row                 FAR     1/6 (g0 + 2 g2)          1/6 FAR g1

    A (6 x 4)  of the gradient of the output
        y0                     first row                NEAR    y0 + 1/2 y2              NEAR (y1 + 1/2 y3)
        y3                     last row                 FAR     y0 + 2 y2                FAR (y1 + 2 y3)

A^T (4 x 6) of the products, G^T (3 x 6) and B (6 x 6) of the gradients of U and V are transposes of these.

Tiles are 6x6 and planes 36, more than there are registers. So the columns of a tile are transformed one after the other
into the planes where the result belongs, and its lines there, in place: loops of six steps instead of six times the
code, which is as fast as without loops, and compiles in a third of the time.
"""

import math

from scratchnet.compiled.jit import inline
from scratchnet.compiled.simd import broadcast, fma, load, load_first, maximum, store
from scratchnet.compiled.winograd_transforms import add_place, load_place, store_place, store_taps

NEAR, FAR = math.sqrt(0.5), math.sqrt(2)


@inline
def image_line(six):
    """B^T d"""
    d0, d1, d2, d3, d4, d5 = six
    near, near_odd = fma(-2.0, d2, d4), NEAR * fma(-2.0, d1, d3)
    far, far_odd = fma(-0.5, d2, d4), FAR * fma(-0.5, d1, d3)
    first, last = fma(-2.5, d2, d0 + d4), fma(-2.5, d3, d1 + d5)
    return first, near + near_odd, near - near_odd, far + far_odd, far - far_odd, last


@inline
def filter_line(three):
    """G g"""
    g0, g1, g2 = three
    near, near_odd = -2 / 3 * (g0 + 0.5 * g2), -2 / 3 * NEAR * g1
    far, far_odd = 1 / 6 * (g0 + 2.0 * g2), 1 / 6 * FAR * g1
    return g0, near + near_odd, near - near_odd, far + far_odd, far - far_odd, g2


@inline
def output_line(six):
    """A^T m"""
    m0, m1, m2, m3, m4, m5 = six
    near, near_odd = m1 + m2, NEAR * (m1 - m2)
    far, far_odd = m3 + m4, FAR * (m3 - m4)
    return m0 + near + far, near_odd + far_odd, fma(2.0, far, 0.5 * near), fma(2.0, far_odd, fma(0.5, near_odd, m5))


@inline
def output_gradient_line(four):
    """A dy"""
    y0, y1, y2, y3 = four
    near, near_odd = fma(0.5, y2, y0), NEAR * fma(0.5, y3, y1)
    far, far_odd = fma(2.0, y2, y0), FAR * fma(2.0, y3, y1)
    return y0, near + near_odd, near - near_odd, far + far_odd, far - far_odd, y3


@inline
def filter_gradient_line(six):
    """G^T du"""
    u0, u1, u2, u3, u4, u5 = six
    near, near_odd = -2 / 3 * (u1 + u2), -2 / 3 * NEAR * (u1 - u2)
    far, far_odd = 1 / 6 * (u3 + u4), 1 / 6 * FAR * (u3 - u4)
    return u0 + near + far, near_odd + far_odd, fma(0.5, near, fma(2.0, far, u5))


@inline
def image_gradient_line(six):
    """B m"""
    m0, m1, m2, m3, m4, m5 = six
    near, near_odd = m1 + m2, NEAR * (m1 - m2)
    far, far_odd = m3 + m4, FAR * (m3 - m4)
    d1 = fma(-2.0, near_odd, fma(-0.5, far_odd, m5))
    d2 = fma(-2.0, near, fma(-0.5, far, -2.5 * m0))
    return m0, d1, d2, fma(-2.5, m5, near_odd + far_odd), m0 + near + far, m5


@inline
def load_six(v, at, step):
    """Six vectors, `step` numbers apart."""
    return (load(v, at), load(v, at + step), load(v, at + 2 * step),
            load(v, at + 3 * step), load(v, at + 4 * step), load(v, at + 5 * step))


@inline
def load_six_first(x, at, step, left):
    """The same; only `left` channels are there."""
    return (load_first(x, at, left), load_first(x, at + step, left), load_first(x, at + 2 * step, left),
            load_first(x, at + 3 * step, left), load_first(x, at + 4 * step, left), load_first(x, at + 5 * step, left))


@inline
def store_six(v, at, step, six):
    """Six vectors to places `step` numbers apart."""
    a, b, c, d, e, f = six
    store(v, at, a)
    store(v, at + step, b)
    store(v, at + 2 * step, c)
    store(v, at + 3 * step, d)
    store(v, at + 4 * step, e)
    store(v, at + 5 * step, f)


@inline
def transform_image(x, at, line, c, left, v, to, plane):
    """V = B^T d B for a vector of channels of the 6x6 tile that begins at x[at]."""
    for q in range(6):
        store_six(v, to + q * plane, 6 * plane, image_line(load_six_first(x, at + q * c, line, left)))
    for r in range(0, 36, 6):
        store_six(v, to + r * plane, plane, image_line(load_six(v, to + r * plane, plane)))


@inline
def transform_filter(w, at, tap, left, u, to, plane):
    """U = G g G^T for a vector of filters; the taps of W are `tap` numbers apart."""
    for q in range(3):
        g = at + q * tap
        column = load_first(w, g, left), load_first(w, g + 3 * tap, left), load_first(w, g + 6 * tap, left)
        store_six(u, to + q * plane, 6 * plane, filter_line(column))
    for r in range(0, 36, 6):
        place = to + r * plane
        line = load(u, place), load(u, place + plane), load(u, place + 2 * plane)
        store_six(u, place, plane, filter_line(line))


@inline
def transform_products(m, at, plane, y, places, tile, j, left, b, floor):
    """Y = A^T M A + b, or `floor` where that is larger, for a vector of filters: to y[places[tile ... tile + 15] + j].

    The columns of A^T M replace those of M.
    """
    for q in range(6):
        y0, y1, y2, y3 = output_line(load_six(m, at + q * plane, 6 * plane))
        store(m, at + q * plane, y0)
        store(m, at + (q + 6) * plane, y1)
        store(m, at + (q + 12) * plane, y2)
        store(m, at + (q + 18) * plane, y3)
    for r in range(4):
        y0, y1, y2, y3 = output_line(load_six(m, at + 6 * r * plane, plane))
        place = tile + 4 * r
        store_place(y, places[place], j, left, maximum(floor, y0 + b))
        store_place(y, places[place + 1], j, left, maximum(floor, y1 + b))
        store_place(y, places[place + 2], j, left, maximum(floor, y2 + b))
        store_place(y, places[place + 3], j, left, maximum(floor, y3 + b))


@inline
def transform_output_gradient(dy, places, tile, j, left, z, to, plane):
    """Z = A dy A^T for a vector of filters of the 4x4 tile at dy[places[tile ... tile + 15]]   -> the tile's sum"""
    total = broadcast(0.0)
    for q in range(4):
        y0, y1 = load_place(dy, places[tile + q], j, left), load_place(dy, places[tile + q + 4], j, left)
        y2, y3 = load_place(dy, places[tile + q + 8], j, left), load_place(dy, places[tile + q + 12], j, left)
        store_six(z, to + q * plane, 6 * plane, output_gradient_line((y0, y1, y2, y3)))
        total = total + (y0 + y1 + y2 + y3)
    for r in range(0, 36, 6):
        at = to + r * plane
        line = load(z, at), load(z, at + plane), load(z, at + 2 * plane), load(z, at + 3 * plane)
        store_six(z, at, plane, output_gradient_line(line))
    return total


@inline
def transform_filter_gradient(du, at, plane, dw, to, tap, left):
    """dW = G^T dU G for a vector of filters; the columns of G^T dU replace those of dU."""
    for q in range(6):
        w0, w1, w2 = filter_gradient_line(load_six(du, at + q * plane, 6 * plane))
        store(du, at + q * plane, w0)
        store(du, at + (q + 6) * plane, w1)
        store(du, at + (q + 12) * plane, w2)
    for r in range(3):
        line = filter_gradient_line(load_six(du, at + 6 * r * plane, plane))
        store_taps(dw, to + 3 * r * tap, tap, left, line)


@inline
def transform_image_gradient(m, at, plane, dx, places, tile, j, left):
    """dx += B M B^T for a vector of channels of the 6x6 tile at dx[places[tile ... tile + 35]].

    The columns of B M replace those of M.
    """
    for q in range(6):
        store_six(m, at + q * plane, 6 * plane, image_gradient_line(load_six(m, at + q * plane, 6 * plane)))
    for r in range(6):
        d0, d1, d2, d3, d4, d5 = image_gradient_line(load_six(m, at + 6 * r * plane, plane))
        place = tile + 6 * r
        add_place(dx, places[place], j, left, d0)
        add_place(dx, places[place + 1], j, left, d1)
        add_place(dx, places[place + 2], j, left, d2)
        add_place(dx, places[place + 3], j, left, d3)
        add_place(dx, places[place + 4], j, left, d4)
        add_place(dx, places[place + 5], j, left, d5)
