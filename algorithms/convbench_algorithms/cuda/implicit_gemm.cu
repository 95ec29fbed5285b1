// Convolution as a matrix product whose second factor, the column matrix, is never written: its elements are gathered
// from x into shared memory as they are needed.
//
//   y [K/G, N·P·Q] = w [K/G, T] · columns [T, N·P·Q] for each group,   T = C/G·R·S
//
// A block has a tile of BM filters × BN positions, a thread of TM × TN in two halves each. While a slice of BK taps is
// multiplied, three more are on their way to shared memory. An element lies at its position's place plus its tap's offset; x
// is the image itself, where each position knows which rows and columns of the filter fall outside, or a copy with its
// padding written out. Neither filters nor taps need a look at their ends: w has zeros there.
//
// The threads of a warp are 4 × 8 of a tile's, which loads the fewest different words for a product: 64 bytes of w and 128
// of x, one pass through the banks each. x comes in by single elements, neighbours by neighbouring lanes.
//
// Macros: REAL, STORED; BM, BN, BK; TM, TN; COPIED, whether x is such a copy; SPLITS. Threads: BM / TM · BN / TN = 256.
#include "async.cuh"
#include "splits.cuh"

struct __align__(8) Tap {
    int offset;      // in x, from a position's place on
    unsigned needs;  // bit r and bit R + s, of what has to lie inside
};

constexpr int THREADS = 256, STAGES = 4;
constexpr int ACROSS = BN / TN;                                       // threads along the positions
constexpr int HALF_M = TM / 2, HALF_N = TN / 2;
constexpr int A_LANES = LANES_OF<REAL>, A_VECTORS = BM * BK / A_LANES, A_ACROSS = BM / A_LANES;
constexpr int B_LOADS = BN * BK / THREADS;
constexpr int STAGE = BK * (BM + BN);

static_assert(BM / TM * ACROSS == THREADS && ACROSS % 8 == 0 && BN * BK % THREADS == 0, "a tile for 256 threads");
static_assert(THREADS % BN == 0 && (A_VECTORS % THREADS == 0 || A_VECTORS < THREADS), "a thread keeps its position");

KERNEL_OF(THREADS, sizeof(REAL) == 4 ? 2 : 1)
implicit_gemm(const REAL* x, const REAL* w, Target* y, const Tap* taps, int N, int C, int H, int W, int P, int Q, int R, int S,
              int u, int v, int d, int e, int top, int left, int channels, int filters, int wide, int slices, int share) {
    SHARED(REAL, shared);  // [STAGES] of w [BK][BM] and x [BK][BN]
    const int thread = threadIdx.x, group = blockIdx.y, split = blockIdx.z;
    const int down_blocks = wide / BM;  // neighbouring blocks share their positions, for the second cache
    const int k0 = static_cast<int>(blockIdx.x % down_blocks) * BM, n0 = static_cast<int>(blockIdx.x / down_blocks) * BN;
    const int pixels = P * Q, positions = N * pixels;
    const int first = split * share, last = min(first + share, slices);

    // What this thread loads: vectors of filters, w [G,T,wide]; and B_LOADS taps in a row of one position.
    const REAL* a_source =
        w + ((static_cast<Index>(group) * slices + first) * BK + thread / A_ACROSS) * wide + k0 + thread % A_ACROSS * A_LANES;
    const int b_position = thread % BN, b_tap = thread / BN * B_LOADS;
    const int place = n0 + b_position < positions ? n0 + b_position : 0;
    const int row = place % pixels / Q * u + top, col = place % Q * v + left;
    const REAL* const b_source =
        x + (static_cast<Index>(place / pixels) * C + static_cast<Index>(group) * channels) * H * W + static_cast<Index>(row) * W + col;
    unsigned inside = 0;
    if constexpr (!COPIED) {
        for (int r = 0; r < R; ++r) inside |= static_cast<unsigned>(row + d * r >= 0 && row + d * r < H) << r;
        for (int s = 0; s < S; ++s) inside |= static_cast<unsigned>(col + e * s >= 0 && col + e * s < W) << (R + s);
    }
    const Tap* tap_source = taps + first * BK + b_tap;
    Tap next[B_LOADS];
    const auto look_ahead = [&] {
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) next[i] = tap_source[i];
        tap_source += BK;
    };
    const auto load = [&](int stage) {
        REAL* const a_slice = shared + stage * STAGE;
        REAL* const b_slice = a_slice + BK * BM;
#pragma unroll
        for (int i = 0; i < ceil_div(A_VECTORS, THREADS); ++i)
            if (A_VECTORS % THREADS == 0 || thread < A_VECTORS)
                copy_async_once(a_slice + (thread + i * THREADS) * A_LANES, a_source + static_cast<Index>(i * (THREADS / A_ACROSS)) * wide);
        a_source += static_cast<Index>(BK) * wide;
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            REAL* const to = b_slice + (b_tap + i) * BN + b_position;
            if constexpr (COPIED)
                copy_async<sizeof(REAL)>(to, b_source + next[i].offset);
            else
                copy_async_or_zero<sizeof(REAL)>(to, b_source + next[i].offset, (inside & next[i].needs) == next[i].needs);
        }
    };

    const int warp = thread / 32, lane = thread % 32;
    const int down = warp / (ACROSS / 8) * 4 + lane / 8, along = warp % (ACROSS / 8) * 8 + lane % 8;
    REAL sums[TM][TN];
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) sums[i][j] = 0;

    for (int stage = 0; stage < STAGES - 1; ++stage) {
        look_ahead();
        if (first + stage < last) load(stage);
        commit_copies();
    }
    for (int slice = first, stage = 0; slice < last; ++slice, stage = (stage + 1) % STAGES) {
        look_ahead();  // so that the table is waited for at the barrier; it has more slices than there are
        wait_for_copies<STAGES - 2>();
        __syncthreads();  // this slice is there, and the one before has been multiplied by all
        if (slice + STAGES - 1 < last) load((stage + STAGES - 1) % STAGES);
        commit_copies();
        const REAL* const a_slice = shared + stage * STAGE + down * HALF_M;
        const REAL* const b_slice = shared + stage * STAGE + BK * BM + along * HALF_N;
#pragma unroll
        for (int t = 0; t < BK; ++t) {
            REAL a[TM], b[TN];
            load_lanes<HALF_M>(a, a_slice + t * BM);
            load_lanes<HALF_M>(a + HALF_M, a_slice + t * BM + BM / 2);
            load_lanes<HALF_N>(b, b_slice + t * BN);
            load_lanes<HALF_N>(b + HALF_N, b_slice + t * BN + BN / 2);
#pragma unroll
            for (int i = 0; i < TM; ++i)
#pragma unroll
                for (int j = 0; j < TN; ++j) sums[i][j] += a[i] * b[j];
        }
    }

    const int K = static_cast<int>(gridDim.y) * filters;
    y += static_cast<Index>(split) * K * positions;
#pragma unroll
    for (int i = 0; i < TM; ++i) {
        const int k = k0 + (i < HALF_M ? 0 : BM / 2 - HALF_M) + down * HALF_M + i;
        if (k >= filters) continue;
#pragma unroll
        for (int side = 0; side < 2; ++side)
            put_results<HALF_N>(y, sums[i] + side * HALF_N, n0 + side * (BN / 2) + along * HALF_N, positions, pixels, K,
                                group * filters + k);
    }
}
