// A recursive filter down the columns, its result transposed: twice, it filters along both axes.
//
//   u[n] = Σ_i b_i·x[n−i] − Σ_j a_j·u[n−j]   down        v[n] = Σ_i c_i·x[n+i] − Σ_j a_j·v[n+j]   up        y = u + v
//
// with i = 0 … 3 for b, 1 … 4 for c and a. A thread has one column of a chunk of rows. Each chunk begins as far before
// its first row as the filter is told to reach, so that no chunk waits for another one.
//
// Macros: REAL.
#include "common.cuh"

extern "C" {
__constant__ REAL coefficients[12];  // b0 … b3, c1 … c4, a1 … a4
}

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
    const REAL* const b = coefficients;
    const REAL* const c = coefficients + 4;
    const REAL* const a = coefficients + 8;

    REAL x1 = 0, x2 = 0, x3 = 0, u1 = 0, u2 = 0, u3 = 0, u4 = 0;
    for (int n = p0; n < p1 + reach; ++n) {
        const REAL x0 = at(n);
        const REAL u0 = b[0] * x0 + b[1] * x1 + b[2] * x2 + b[3] * x3 - a[0] * u1 - a[1] * u2 - a[2] * u3 - a[3] * u4;
        x3 = x2, x2 = x1, x1 = x0;
        u4 = u3, u3 = u2, u2 = u1, u1 = u0;
        if (inside && n >= p0 + reach) partial[plane + static_cast<Index>(n - reach) * W + col] = u0;
    }

    REAL x4 = 0;
    x1 = x2 = x3 = u1 = u2 = u3 = u4 = 0;
    const auto step = [&](int n) {
        const REAL v0 = c[0] * x1 + c[1] * x2 + c[2] * x3 + c[3] * x4 - a[0] * u1 - a[1] * u2 - a[2] * u3 - a[3] * u4;
        x4 = x3, x3 = x2, x2 = x1, x1 = at(n);
        u4 = u3, u3 = u2, u2 = u1, u1 = v0;
        return v0;
    };
    for (int n = p1 + 2 * reach - 1; n >= p1 + reach; --n) step(n);
    for (int group = (p1 - p0 - 1) / WARP; group >= 0; --group) {
        const int begin = p0 + group * WARP, end = min(begin + WARP, p1);
        for (int p = end - 1; p >= begin; --p) {
            const REAL v0 = step(p + reach);
            if (inside) tile[(p - begin) * PITCH + threadIdx.x] = partial[plane + static_cast<Index>(p) * W + col] + v0;
        }
        __syncthreads();
        for (int i = 0; i < WARP; ++i)
            if (first_col + i < W && begin + static_cast<int>(threadIdx.x) < end)
                out[plane + static_cast<Index>(first_col + i) * H + begin + threadIdx.x] = tile[threadIdx.x * PITCH + i];
        __syncthreads();
    }
}
