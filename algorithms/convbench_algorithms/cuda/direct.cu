// y = w ⋆ x by sums in registers; the filter lies in constant memory, from where a multiply-add takes it for nothing.
//
// A thread has ROWS × COLS outputs of FILTERS output channels. It goes down the rows of x that they see, loads of each
// what its columns need, and adds it to every row of y that sees it. Neighbouring threads load the same elements, which
// the first-level cache gives them. That takes (ROWS + R − 1)·S·COLS unrolled multiply-adds, and a register for each
// element of a line; where these are too many, ROLLED goes through the rows of the filter instead, and loads anew in each.
//
// Macros: REAL, STORED; TAPS in the filter [K,C/G,R,S]; R, S; U, V (stride); D, E (dilation); ROWS, COLS, FILTERS of a thread; ROLLED, 0 or 1;
// LEFT, the padding before the image's columns, or -1 where they are spread and only the maps tell.
#include "common.cuh"

extern "C" {
__constant__ REAL taps[TAPS];
}

constexpr int SEEN_COLS = (COLS - 1) * V + (S - 1) * E + 1;

// A thread's first column is a multiple of COLS: how far the first one that it sees lies behind a multiple of LANES.
constexpr int BEHIND = ((-LEFT) % LANES + LANES) % LANES;
constexpr int VECTORS = ceil_div(BEHIND + SEEN_COLS, LANES);

// What a thread's columns see of a row of x; zeros where `row` is -1.
__device__ __forceinline__ void load_line(REAL (&line)[VECTORS * LANES], const Stored* plane, const int* cols, int row, int W,
                                          int Q, int q0, bool in_lanes) {
    if (in_lanes && row >= 0) {
        load_lanes<VECTORS * LANES>(line, plane + static_cast<Index>(row) * W + q0 * V - LEFT - BEHIND);
        return;
    }
    const int end = (Q - 1) * V + (S - 1) * E + 1;
#pragma unroll
    for (int j = 0; j < SEEN_COLS; ++j)
        line[BEHIND + j] = padded_at(plane, W, row, q0 * V + j < end ? cols[q0 * V + j] : -1);
}

KERNEL_OF(128)
direct(const Stored* x, Stored* y, const int* rows, const int* cols, int C, int H, int W, int K, int P, int Q, int channels,
       int filters) {
    const int q0 = (blockIdx.x * blockDim.x + threadIdx.x) * COLS;
    const int p0 = (blockIdx.y * blockDim.y + threadIdx.y) * ROWS;
    if (q0 >= Q || p0 >= P) return;
    const int image = blockIdx.z / (K / FILTERS), k0 = blockIdx.z % (K / FILTERS) * FILTERS;
    const int c0 = k0 / filters * channels;

    const int first = q0 * V - LEFT - BEHIND;
    const bool in_lanes = LEFT >= 0 && V == 1 && COLS % LANES == 0 && W % LANES == 0 &&
                          reinterpret_cast<size_t>(x) % 16 == 0 && first >= 0 && first + VECTORS * LANES <= W;
    // The last threads may reach beyond y: what they add there is not stored.
    const int end = (P - 1) * U + (R - 1) * D + 1;

    REAL sums[FILTERS][ROWS][COLS];
#pragma unroll
    for (int k = 0; k < FILTERS; ++k)
#pragma unroll
        for (int p = 0; p < ROWS; ++p)
#pragma unroll
            for (int q = 0; q < COLS; ++q) sums[k][p][q] = 0;

    for (int c = 0; c < channels; ++c) {
        const Stored* plane = x + (static_cast<Index>(image) * C + c0 + c) * H * W;
        const REAL* tap = taps + (k0 * channels + c) * (R * S);
        const auto add = [&](const REAL(&line)[VECTORS * LANES], int r, int p) {
#pragma unroll
            for (int k = 0; k < FILTERS; ++k)
#pragma unroll
                for (int s = 0; s < S; ++s)
#pragma unroll
                    for (int q = 0; q < COLS; ++q)
                        sums[k][p][q] += tap[k * channels * (R * S) + r * S + s] * line[BEHIND + q * V + s * E];
        };
        if (ROLLED) {
#pragma unroll 1
            for (int r = 0; r < R; ++r)
#pragma unroll
                for (int p = 0; p < ROWS; ++p) {
                    const int i = (p0 + p) * U + r * D;
                    REAL line[VECTORS * LANES];
                    load_line(line, plane, cols, i < end ? rows[i] : -1, W, Q, q0, in_lanes);
                    add(line, r, p);
                }
        } else {
#pragma unroll
            for (int i = 0; i < (ROWS - 1) * U + (R - 1) * D + 1; ++i) {
                REAL line[VECTORS * LANES];
                load_line(line, plane, cols, p0 * U + i < end ? rows[p0 * U + i] : -1, W, Q, q0, in_lanes);
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    const int p = (i - r * D) / U;
                    if (i >= r * D && (i - r * D) % U == 0 && p < ROWS) add(line, r, p);
                }
            }
        }
    }

#pragma unroll
    for (int k = 0; k < FILTERS; ++k)
#pragma unroll
        for (int p = 0; p < ROWS; ++p) {
            if (p0 + p >= P) continue;
            Stored* target = y + ((static_cast<Index>(image) * K + k0 + k) * P + p0 + p) * Q + q0;
            if (COLS % LANES == 0 && Q % LANES == 0 && reinterpret_cast<size_t>(y) % 16 == 0) {
#pragma unroll
                for (int v = 0; v < COLS / LANES; ++v) {
                    if (q0 + v * LANES >= Q) continue;
                    store_lanes<LANES>(target + v * LANES, sums[k][p] + v * LANES);
                }
            } else {
#pragma unroll
                for (int q = 0; q < COLS; ++q)
                    if (q0 + q < Q) put(target[q], sums[k][p][q]);
            }
        }
}
