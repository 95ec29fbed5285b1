// What a thread's COLS outputs see of a row of x, in registers.
//
// Macros: REAL, STORED; COLS, a power of two; S, V (stride), E (dilation); LEFT and TOP, the padding before the image where
// that lies as it is, or -1 where it is spread and only the maps tell.
#pragma once
#include "common.cuh"

constexpr int SEEN_COLS = (COLS - 1) * V + (S - 1) * E + 1;

// A thread's first output is a multiple of COLS: how far the first column that it sees lies behind a multiple of VECTOR.
constexpr int VECTOR = COLS < LANES ? COLS : LANES;
constexpr int BEHIND = ((-LEFT) % VECTOR + VECTOR) % VECTOR;
constexpr int LINE = ceil_div(BEHIND + SEEN_COLS, VECTOR) * VECTOR;

struct __align__(VECTOR * sizeof(Stored)) Vector {
    Stored at[VECTOR];
};

// Whether vectors of x may be loaded as such, where they lie in the image.
__device__ __forceinline__ bool lies_in_vectors(const Stored* x, int W) {
    return LEFT >= 0 && W % VECTOR == 0 && reinterpret_cast<size_t>(x) % sizeof(Vector) == 0;
}

// The row of x at a padded one, or -1; most need not ask the map.
__device__ __forceinline__ int row_at(const int* rows, int padded, int end, int H) {
    const int row = padded - TOP;
    if (TOP >= 0 && row >= 0 && row < H) return row;
    return padded < end ? rows[padded] : -1;
}

// The column of x at a padded one, or -1.
__device__ __forceinline__ int col_at(const int* cols, int padded, int end, int W) {
    const int col = padded - LEFT;
    if (LEFT >= 0 && col >= 0 && col < W) return col;
    return padded < end ? cols[padded] : -1;
}

// line[BEHIND + j] is the element at the padded column q0·V + j, zero where `row` or the map says -1. Of padded columns
// there are `end`. By vectors where these are all in the image; at its edges EACH vector may still be loaded as such, which
// helps those who wait for the threads there, and costs the others a branch for each.
template <bool EACH>
__device__ __forceinline__ void load_line(REAL (&line)[LINE], const Stored* plane, const int* cols, int row, int W, int q0,
                                          int end, bool in_vectors) {
    const Stored* source = plane + static_cast<Index>(row) * W;
    const int first = q0 * V - LEFT - BEHIND;
    const bool all = row >= 0 && in_vectors && first >= 0 && first + LINE <= W;
#pragma unroll
    for (int v = 0; v < LINE / VECTOR; ++v) {
        const int start = first + v * VECTOR;
        if (EACH ? row >= 0 && in_vectors && start >= 0 && start < W : all) {
            const Vector found = *reinterpret_cast<const Vector*>(source + start);
#pragma unroll
            for (int l = 0; l < VECTOR; ++l) line[v * VECTOR + l] = real_of(found.at[l]);
        } else {
#pragma unroll
            for (int l = 0; l < VECTOR; ++l) {
                const int j = v * VECTOR + l - BEHIND;
                const int col = j >= 0 && j < SEEN_COLS && row >= 0 ? col_at(cols, q0 * V + j, end, W) : -1;
                line[v * VECTOR + l] = col < 0 ? REAL(0) : real_of(source[col]);
            }
        }
    }
}

// A thread's outputs of a row of y, of which those from Q on do not exist.
__device__ __forceinline__ void store_line(Stored* y, Index row_start, int q0, int Q, const REAL* sums) {
    Stored* target = y + row_start + q0;
    if (Q % VECTOR == 0 && reinterpret_cast<size_t>(y) % sizeof(Vector) == 0) {
#pragma unroll
        for (int v = 0; v < COLS / VECTOR; ++v) {
            if (q0 + v * VECTOR >= Q) continue;
            Vector vector;
#pragma unroll
            for (int l = 0; l < VECTOR; ++l) put(vector.at[l], sums[v * VECTOR + l]);
            reinterpret_cast<Vector*>(target)[v] = vector;
        }
    } else {
#pragma unroll
        for (int q = 0; q < COLS; ++q)
            if (q0 + q < Q) put(target[q], sums[q]);
    }
}
