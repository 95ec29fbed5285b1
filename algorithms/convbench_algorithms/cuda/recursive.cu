// A recursive filter down the columns, its result transposed: twice, it filters along both axes.
//
//   d <- rho * d + x[n] - s       s <- s + beta * d       in two sections, of `deriche.sections`
//
// y[n] takes of_s * s + of_d * d of both sections on the way down, once x[n] has come in, and on the way up before it does.
// A thread has one column of a chunk of rows. Each chunk begins as far before its first row as the filter is told to
// reach, so that no chunk waits for another one.
//
// Macros: REAL.
#include "common.cuh"

extern "C" {
__constant__ REAL coefficients[16];  // [down, up][section][beta, rho, of_s, of_d]
}

struct Sections {
    REAL s[2] = {0, 0}, d[2] = {0, 0};

    __device__ void take(const REAL* weights, REAL x) {
        for (int i = 0; i < 2; ++i) {
            d[i] = weights[4 * i + 1] * d[i] + (x - s[i]);
            s[i] += weights[4 * i] * d[i];
        }
    }

    __device__ REAL sum(const REAL* weights) const {
        return weights[2] * s[0] + weights[3] * d[0] + (weights[6] * s[1] + weights[7] * d[1]);
    }
};

constexpr int WARP = 32, WARPS = 4;
constexpr int PITCH = WARP + 1;  // so that neither rows nor columns of a tile meet in a bank

KERNEL_OF(WARP * WARPS)
recursive(const REAL* x, REAL* partial, REAL* out, const int* rows, int H, int W, int reach, int length) {
    SHARED(REAL, tiles);  // [WARPS][WARP][PITCH]
    REAL* const tile = tiles + threadIdx.y * WARP * PITCH;
    const int first_col = (blockIdx.x * WARPS + threadIdx.y) * WARP, col = first_col + threadIdx.x;
    const int p0 = blockIdx.y * length, p1 = min(p0 + length, H);
    const bool inside = col < W;
    const Index plane = static_cast<Index>(blockIdx.z) * H * W;
    const auto at = [&](int padded) { return inside ? padded_at(x + plane, W, rows[padded], col) : REAL(0); };
    const REAL* const up = coefficients + 8;

    Sections sections;
    for (int n = p0; n < p1 + reach; ++n) {
        sections.take(coefficients, at(n));
        if (inside && n >= p0 + reach) partial[plane + static_cast<Index>(n - reach) * W + col] = sections.sum(coefficients);
    }

    sections = Sections();
    for (int n = p1 + 2 * reach - 1; n >= p1 + reach; --n) sections.take(up, at(n));
    for (int group = (p1 - p0 - 1) / WARP; group >= 0; --group) {
        const int begin = p0 + group * WARP, end = min(begin + WARP, p1);
        for (int p = end - 1; p >= begin; --p) {
            if (inside) {
                const REAL down = partial[plane + static_cast<Index>(p) * W + col];
                tile[(p - begin) * PITCH + threadIdx.x] = down + sections.sum(up);
            }
            sections.take(up, at(p + reach));
        }
        __syncthreads();
        for (int i = 0; i < WARP; ++i)
            if (first_col + i < W && begin + static_cast<int>(threadIdx.x) < end)
                out[plane + static_cast<Index>(first_col + i) * H + begin + threadIdx.x] = tile[threadIdx.x * PITCH + i];
        __syncthreads();
    }
}
