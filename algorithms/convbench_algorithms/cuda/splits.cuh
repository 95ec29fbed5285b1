// Products whose sums over the taps are shared out among several blocks, each of which leaves its part, for `splits.cu`.
//
// Macro: SPLITS, the number of parts.
#pragma once
#include "common.cuh"

#if SPLITS > 1
typedef REAL Target;  // partial sums, [SPLITS] times as y
#else
typedef Stored Target;
#endif

// COUNT results that follow each other along the positions, from `first` on, of filter k among all: y [N,K,P·Q].
template <int COUNT>
__device__ __forceinline__ void put_results(Target* y, const REAL* sums, int first, int positions, int pixels, int K, int k) {
    if (pixels % COUNT == 0) {  // then they lie in one image, and aligned to each other
        if (first < positions)
            store_lanes<COUNT>(y + (static_cast<Index>(first / pixels) * K + k) * pixels + first % pixels, sums);
    } else {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) {
            const int at = first + i;
            if (at < positions) put(y[(static_cast<Index>(at / pixels) * K + k) * pixels + at % pixels], sums[i]);
        }
    }
}
