"""The direct micro-kernel: a block of channels × rows × vectors of y stays in registers over all taps.

An input row serves every output row of the block that one of its taps falls on, and an input vector every channel: so
a multiply-add costs about half a load. A step takes the R taps of one column of the filter in one input channel; what
a column is, its channel, dilation and phase, is one number: how many elements from the output's position it starts.
The block moves along the columns of y; what is left of a vector at the end is masked.
"""

from __future__ import annotations

from typing import Any

from convbench_algorithms.emitter import emitted


def _strip_plain(  # type: ignore[no-untyped-def]
    x, start, row_step, offsets, w, g, y, n, k, p, q, columns, _past_caches,
    channels, rows, _vectors, taps, stride, dilation,
) -> None:  # fmt: skip
    for i in range(channels):
        for j in range(rows):
            y[n, k + i, p + j, q : q + columns] = 0
            for t in range(len(offsets)):
                for r in range(taps):
                    weight = w[g, t, r, i]
                    at = start + offsets[t] + (j * stride + r * dilation) * row_step
                    for column in range(columns):
                        y[n, k + i, p + j, q + column] += weight * x[at + column]


@emitted(_strip_plain)
def strip_of_sums(  # type: ignore[no-untyped-def]
    e, x, start, row_step, offsets, w, g, y, n, k, p, q, columns, past_caches,
    channels, rows, vectors, taps, stride, dilation,
) -> None:  # fmt: skip
    """y [n, k+i, p+j, q+c] = Σ_t Σ_r w [g,t,r,i] · x [start + offsets[t] + (j·stride + r·dilation)·row_step + c].

    For i < channels, j < rows (constants, like what follows them) and c < columns. x is read in whole vectors, so up
    to VECTOR_BYTES past the last element that counts. `past_caches` writes around them, where y's vectors are aligned.
    """
    x = x + start
    width = vectors * e.lanes
    whole = columns // width * width
    block = _Block(x, row_step, offsets, (w, g), channels, rows, taps, stride, dilation)

    with e.loop(whole, step=width) as c:
        sums = block.sums(e, c, vectors)
        with e.when(past_caches.compare("!=", 0)):
            for (i, j, v), total in sums.items():
                e.store_past_caches(total, y.at(n, k + i, p + j), q + c + v * e.lanes)
        with e.when(past_caches.compare("==", 0)):
            for (i, j, v), total in sums.items():
                e.store(total, y.at(n, k + i, p + j), q + c + v * e.lanes)
    with e.loop(columns, start=whole, step=e.lanes) as c:
        mask = e.first_lanes(columns - c)
        for (i, j, _), total in block.sums(e, c, 1).items():
            e.store_masked(mask, total, y.at(n, k + i, p + j), q + c)


class _Block:
    """The sums of `vectors` vectors of each row and channel, from `column` on."""

    def __init__(self, x, row_step, offsets, w, channels, rows, taps, stride, dilation) -> None:  # type: ignore[no-untyped-def]
        self.x, self.row_step, self.offsets, self.w = x, row_step, offsets, w
        self.channels, self.rows = channels, rows
        self.users: dict[int, list[tuple[int, int]]] = {}  # of each input row: which output rows, by which taps
        for j in range(rows):
            for r in range(taps):
                self.users.setdefault(j * stride + r * dilation, []).append((j, r))

    def sums(self, e: Any, column: Any, vectors: int) -> dict[tuple[int, int, int], Any]:
        sums = {
            (i, j, v): e.variable(e.constant(0.0))
            for i in range(self.channels)
            for j in range(self.rows)
            for v in range(vectors)
        }
        with e.loop(self.offsets.shape[0]) as t:
            place = self.x + (e.load_integer(self.offsets, t) + column)
            taps = self.w[0].at(*self.w[1:], t)
            row = 0
            for h, users in sorted(self.users.items()):
                place = place + self.row_step * (h - row)
                row = h
                values = [e.load(place, v * e.lanes) for v in range(vectors)]
                for j, r in users:
                    for i in range(self.channels):
                        weight = e.broadcast(taps, r * self.channels + i)
                        for v in range(vectors):
                            total = sums[i, j, v]
                            total.set(e.fma(values[v], weight, total.get()))
        return {place: total.get() for place, total in sums.items()}
