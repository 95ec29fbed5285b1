// Convolution as a matrix product whose second factor, the column matrix, is never written: its elements are gathered
// from x into shared memory as they are needed.
//
//   y [K/G, N·P·Q] = w [K/G, T] · columns [T, N·P·Q] for each group,   T = C/G·R·S
//
// A block has a tile of BM filters × BN positions, a thread of TM × TN in two halves each, so that its loads from shared
// memory meet no bank twice. While a slice of BK taps is multiplied, the next one is on its way into registers.
//
// Macros: REAL, STORED; BM, BN, BK; TM, TN. Threads: BM / TM · BN / TN = 256.
#include "common.cuh"
#include "tap.cuh"

constexpr int THREADS = 256;
constexpr int ACROSS = BN / TN;                // threads along the positions
constexpr int HALF_M = TM / 2, HALF_N = TN / 2;
constexpr int A_LOADS = BM * BK / THREADS, B_LOADS = BN * BK / THREADS;

static_assert(BM / TM * ACROSS == THREADS && BM * BK % THREADS == 0 && BN * BK % THREADS == 0, "a tile for 256 threads");
static_assert(THREADS % BM == 0 && THREADS % BN == 0, "a thread keeps its filter and its position");

KERNEL_OF(THREADS)
implicit_gemm(const Stored* x, const Stored* w, Stored* y, const Tap* taps, const int* rows, const int* cols, int N, int C,
              int H, int W, int P, int Q, int T, int channels, int filters, int u, int v) {
    SHARED(REAL, shared);
    REAL* const a_slices = shared;                // [2][BK][BM]
    REAL* const b_slices = shared + 2 * BK * BM;  // [2][BK][BN]
    const int thread = threadIdx.x, group = blockIdx.z;
    const int k0 = blockIdx.y * BM;
    const Index n0 = static_cast<Index>(blockIdx.x) * BN;
    const Index positions = static_cast<Index>(N) * P * Q;

    // What this thread loads: one filter's taps, and one position's.
    const int a_filter = thread % BM, a_tap = thread / BM;
    const int b_position = thread % BN, b_tap = thread / BN;
    const bool a_exists = k0 + a_filter < filters, b_exists = n0 + b_position < positions;
    const Stored* a_source = w + static_cast<Index>(group) * T * filters + k0 + a_filter;  // w [G,T,K/G]
    const Index place = b_exists ? n0 + b_position : 0;
    const int p = static_cast<int>(place / Q % P), q = static_cast<int>(place % Q);
    const Stored* b_source = x + (place / Q / P * C + static_cast<Index>(group) * channels) * H * W;
    const int* b_rows = rows + u * p;
    const int* b_cols = cols + v * q;

    REAL a_next[A_LOADS], b_next[B_LOADS];
    const auto load = [&](int t0) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            const int t = t0 + a_tap + i * (THREADS / BM);
            a_next[i] = a_exists && t < T ? real_of(a_source[static_cast<Index>(t) * filters]) : REAL(0);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            const int t = t0 + b_tap + i * (THREADS / BN);
            b_next[i] = 0;
            if (b_exists && t < T) {
                const Tap tap = taps[t];
                b_next[i] = padded_at(b_source + static_cast<Index>(tap.channel) * H * W, W, b_rows[tap.row], b_cols[tap.col]);
            }
        }
    };
    const auto store = [&](int slice) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) a_slices[(slice * BK + a_tap + i * (THREADS / BM)) * BM + a_filter] = a_next[i];
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) b_slices[(slice * BK + b_tap + i * (THREADS / BN)) * BN + b_position] = b_next[i];
    };

    const int down = thread / ACROSS, along = thread % ACROSS;
    REAL sums[TM][TN];
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) sums[i][j] = 0;

    load(0);
    store(0);
    __syncthreads();
    for (int t0 = 0, slice = 0; t0 < T; t0 += BK, slice ^= 1) {
        const bool more = t0 + BK < T;
        if (more) load(t0 + BK);
#pragma unroll
        for (int t = 0; t < BK; ++t) {
            REAL a[TM], b[TN];
            const REAL* a_line = a_slices + (slice * BK + t) * BM + down * HALF_M;
            const REAL* b_line = b_slices + (slice * BK + t) * BN + along * HALF_N;
            load_lanes<HALF_M>(a, a_line);
            load_lanes<HALF_M>(a + HALF_M, a_line + BM / 2);
            load_lanes<HALF_N>(b, b_line);
            load_lanes<HALF_N>(b + HALF_N, b_line + BN / 2);
#pragma unroll
            for (int i = 0; i < TM; ++i)
#pragma unroll
                for (int j = 0; j < TN; ++j) sums[i][j] += a[i] * b[j];
        }
        if (more) store(slice ^ 1);
        __syncthreads();
    }

#pragma unroll
    for (int j = 0; j < TN; ++j) {
        const Index at = n0 + (j < HALF_N ? along * HALF_N + j : BN / 2 + along * HALF_N + j - HALF_N);
        if (at >= positions) continue;
        const Index image = at / (static_cast<Index>(P) * Q), pixel = at % (static_cast<Index>(P) * Q);
#pragma unroll
        for (int i = 0; i < TM; ++i) {
            const int k = k0 + (i < HALF_M ? down * HALF_M + i : BM / 2 + down * HALF_M + i - HALF_M);
            if (k < filters)
                put(y[((image * gridDim.z + group) * filters + k) * P * Q + pixel], sums[i][j]);
        }
    }
}
