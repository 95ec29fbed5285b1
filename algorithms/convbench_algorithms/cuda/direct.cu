// y = w ⋆ x by sums in registers; the filter lies in constant memory, from where a multiply-add takes it for nothing.
//
// A thread has ROWS × COLS outputs of FILTERS output channels. It goes down the rows of x that they see, loads of each
// what its columns need, and adds it to every row of y that sees it. Neighbouring threads load the same elements, which
// the first-level cache gives them. That takes (ROWS + R − 1)·S·COLS unrolled multiply-adds, and a register for each
// element of a line; where these are too many, ROLLED goes through the rows of the filter instead, and loads anew in each.
//
// Macros: those of lines.cuh; TAPS in the filter [K,C/G,R,S]; R; U (stride), D (dilation); ROWS, FILTERS of a thread;
// ROLLED, 0 or 1.
#include "lines.cuh"

extern "C" {
__constant__ REAL taps[TAPS];
}

// Left to itself, the assembler spills a few bytes of the large ones, for a block more on a multiprocessor.
constexpr int BLOCKS = ROLLED || sizeof(Stored) == 2 || ROWS * COLS * R * S > 500;

KERNEL_OF(128, BLOCKS)
direct(const Stored* x, Stored* y, const int* rows, const int* cols, int C, int H, int W, int K, int P, int Q, int channels,
       int filters, int planes) {
    const int q0 = (blockIdx.x * blockDim.x + threadIdx.x) * COLS;
    const int p0 = (blockIdx.y * blockDim.y + threadIdx.y) * ROWS;
    const int plane_of_y = blockIdx.z * blockDim.z + threadIdx.z;  // or FILTERS of them
    if (q0 >= Q || p0 >= P || plane_of_y >= planes) return;
    const int image = plane_of_y / (K / FILTERS), k0 = plane_of_y % (K / FILTERS) * FILTERS;
    const int c0 = k0 / filters * channels;

    const bool in_vectors = lies_in_vectors(x, W);
    // The last threads may reach beyond y: what they add there is not stored.
    const int end_rows = (P - 1) * U + (R - 1) * D + 1, end_cols = (Q - 1) * V + (S - 1) * E + 1;

    REAL sums[FILTERS][ROWS][COLS];
#pragma unroll
    for (int k = 0; k < FILTERS; ++k)
#pragma unroll
        for (int p = 0; p < ROWS; ++p)
#pragma unroll
            for (int q = 0; q < COLS; ++q) sums[k][p][q] = 0;

    for (int c = 0; c < channels; ++c) {
        const Stored* plane = x + (static_cast<Index>(image) * C + c0 + c) * H * W;
        // Of a single filter the compiler knows where each tap lies, and need not load it.
        const REAL* tap = TAPS == R * S ? taps : taps + (k0 * channels + c) * (R * S);
        const auto load = [&](REAL(&line)[LINE], int padded) {
            load_line<R <= 5>(line, plane, cols, row_at(rows, padded, end_rows, H), W, q0, end_cols, in_vectors);
        };
        const auto add = [&](const REAL(&line)[LINE], int r, int p) {
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
                    REAL line[LINE];
                    load(line, (p0 + p) * U + r * D);
                    add(line, r, p);
                }
        } else {
#pragma unroll
            for (int i = 0; i < (ROWS - 1) * U + (R - 1) * D + 1; ++i) {
                REAL line[LINE];
                load(line, p0 * U + i);
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
        for (int p = 0; p < ROWS; ++p)
            if (p0 + p < P) store_line(y, ((static_cast<Index>(image) * K + k0 + k) * P + p0 + p) * Q, q0, Q, sums[k][p]);
}
