// y = w ⋆ x for filters of one channel, down the columns: each row of x is loaded once, and added to the R rows of y that
// see it, whose sums a thread has in registers. The oldest of these is then complete, and the others move on by one.
//
// The loop over rows has R·S·COLS multiply-adds and no more, whatever the strip: all warps find them in the first
// instruction cache, which they would not if a tile of rows were unrolled. That the sums move on costs nothing, as a
// multiply-add may leave its sum in another register. A FACTORED filter, w = column · row, takes (R + S)·COLS.
//
// Macros: those of lines.cuh, with V and E of 1; PLANES, the filters there are; R; FACTORED, 0 or 1; AHEAD, whether
// a row is loaded while the one before it is added, 0 or 1.
#include "lines.cuh"

constexpr int WEIGHTS = FACTORED ? R + S : R * S;

extern "C" {
__constant__ REAL taps[PLANES * WEIGHTS];  // of each filter [R][S], or the column's R and the row's S
}

KERNEL_OF(128)
stream(const Stored* x, Stored* y, const int* rows, const int* cols, int C, int H, int W, int K, int P, int Q, int filters,
       int length) {
    const int q0 = (blockIdx.x * blockDim.x + threadIdx.x) * COLS;
    const int p0 = (blockIdx.y * blockDim.y + threadIdx.y) * length, p1 = min(p0 + length, P);
    if (q0 >= Q || p0 >= P) return;
    const int image = blockIdx.z / K, k = blockIdx.z % K;
    const Stored* plane = x + (static_cast<Index>(image) * C + k / filters) * H * W;
    // Of a single filter the compiler knows where each tap lies: in constant memory, as an operand. Else it loads them.
    const REAL* tap = PLANES == 1 ? taps : taps + k * WEIGHTS;
    const bool in_vectors = lies_in_vectors(x, W);

    REAL sums[R][COLS];  // of the row p = i - r, when row i of x is the last that was added
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
        for (int q = 0; q < COLS; ++q) sums[r][q] = 0;

    const auto load = [&](REAL(&line)[LINE], int row) {
        load_line<true>(line, plane, cols, row_at(rows, row, P + R - 1, H), W, q0, Q + S - 1, in_vectors);
    };
    REAL line[LINE], next[LINE];
    if (AHEAD) load(next, p0);
#pragma unroll 1
    for (int row = p0; row < p1 + R - 1; ++row) {
        if (AHEAD) {
#pragma unroll
            for (int i = 0; i < LINE; ++i) line[i] = next[i];
        }
        load(AHEAD ? next : line, AHEAD ? row + 1 : row);
        const REAL* seen = line + BEHIND;
        REAL along[COLS];  // the row's sums, where the filter is factored
#pragma unroll
        for (int q = 0; q < COLS; ++q) along[q] = 0;
        if (FACTORED) {
#pragma unroll
            for (int s = 0; s < S; ++s)
#pragma unroll
                for (int q = 0; q < COLS; ++q) along[q] += tap[R + s] * seen[q + s];
        }
#pragma unroll
        for (int r = R - 1; r >= 0; --r)
#pragma unroll
            for (int q = 0; q < COLS; ++q) {
                REAL sum = r > 0 ? sums[r - 1][q] : REAL(0);
                if (FACTORED) {
                    sum += tap[r] * along[q];
                } else {
#pragma unroll
                    for (int s = 0; s < S; ++s) sum += tap[r * S + s] * seen[q + s];
                }
                sums[r][q] = sum;
            }
        const int p = row - (R - 1);
        if (p >= p0) store_line(y, (static_cast<Index>(blockIdx.z) * P + p) * Q, q0, Q, sums[R - 1]);
    }
}
