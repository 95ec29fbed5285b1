// Both passes of a separable filter in one: rows are filtered into a ring in shared memory, columns out of it.
//
// A block goes down a strip of WIDE columns, STEP rows of x at a time. The ring holds the R − 1 filtered rows that are
// still needed and the STEP new ones, so that each row is loaded and filtered once in a block.
//
// Macros: REAL, STORED; PLANES, the filters there are; R, S; WIDE, a multiple of 4, and as many threads; STEP; LEFT, the padding
// before the image's columns, or -1 where only the maps tell.
#include "common.cuh"

extern "C" {
__constant__ REAL taps[PLANES * (R + S)];  // of each filter the column's R, and the row's S
}

constexpr int QUAD = 4;
constexpr int PITCH = ceil_div(WIDE + S - 1, QUAD) * QUAD;
constexpr int SEEN = ceil_div(QUAD + S - 1, QUAD) * QUAD;  // of a line by a quad of sums, and the rest of a vector
constexpr int RING = R - 1 + STEP;

KERNEL_OF(WIDE)
separable(const Stored* x, Stored* y, const int* rows, const int* cols, int padded_rows, int padded_cols, int C, int H, int W,
          int K, int P, int Q, int filters, int length) {
    SHARED(REAL, lines);                        // [STEP][PITCH]
    REAL* const ring = lines + STEP * PITCH;    // [RING][WIDE]
    const int q0 = blockIdx.x * WIDE, p0 = blockIdx.y * length, p1 = min(p0 + length, P);
    const int image = blockIdx.z / K, k = blockIdx.z % K;
    const Stored* plane = x + (static_cast<Index>(image) * C + k / filters) * H * W;
    Stored* target = y + static_cast<Index>(blockIdx.z) * P * Q;
    const REAL* column = taps + k * (R + S);
    const REAL* row_taps = column + R;
    const bool inside = LEFT >= 0 && q0 >= LEFT && q0 - LEFT + WIDE + S - 1 <= W;

    int oldest = 0;  // the place in the ring that the next row goes to
    for (int first = p0; first < p1 + R - 1; first += STEP) {
        for (int i = 0; i < STEP; ++i) {
            const int row = first + i < padded_rows && first + i < p1 + R - 1 ? rows[first + i] : -1;
            const Stored* source = plane + static_cast<Index>(row) * W + q0 - LEFT;
            for (int j = threadIdx.x; j < WIDE + S - 1; j += WIDE) {
                REAL value = 0;
                if (row >= 0) {
                    if (inside)
                        value = real_of(source[j]);
                    else if (q0 + j < padded_cols)
                        value = padded_at(plane, W, row, cols[q0 + j]);
                }
                lines[i * PITCH + j] = value;
            }
        }
        __syncthreads();

        for (int item = threadIdx.x; item < STEP * (WIDE / QUAD); item += WIDE) {
            const int i = item / (WIDE / QUAD), q = item % (WIDE / QUAD) * QUAD;
            const REAL* line = lines + i * PITCH + q;
            REAL seen[SEEN], sums[QUAD];
            load_lanes<SEEN>(seen, line);
#pragma unroll
            for (int j = 0; j < QUAD; ++j) sums[j] = 0;
#pragma unroll
            for (int s = 0; s < S; ++s)
#pragma unroll
                for (int j = 0; j < QUAD; ++j) sums[j] += row_taps[s] * seen[s + j];
            const int place = oldest + i < RING ? oldest + i : oldest + i - RING;
            store_lanes<QUAD>(ring + place * WIDE + q, sums);
        }
        __syncthreads();

        oldest = oldest + STEP < RING ? oldest + STEP : oldest + STEP - RING;
        REAL sums[STEP];
#pragma unroll
        for (int i = 0; i < STEP; ++i) sums[i] = 0;
        if (first + STEP - 1 >= p0 + R - 1) {  // else no output is complete, and the ring not yet full
            int place = oldest;
#pragma unroll
            for (int t = 0; t < RING; ++t) {
                const REAL value = ring[place * WIDE + threadIdx.x];
                place = place + 1 < RING ? place + 1 : 0;
#pragma unroll
                for (int i = 0; i < STEP; ++i)
                    if (t >= i && t - i < R) sums[i] += column[t - i] * value;
            }
            const int q = q0 + threadIdx.x;
#pragma unroll
            for (int i = 0; i < STEP; ++i) {
                const int p = first - (R - 1) + i;
                if (p >= p0 && p < p1 && q < Q) put(target[static_cast<Index>(p) * Q + q], sums[i]);
            }
        }
    }
}
