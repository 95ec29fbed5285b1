// y[h, w] = sum over r of x[h + r - TAPS / 2, w] · filter[r], zeros around x: tiles in shared memory.
//
// FAULT plants an error: 1 no barrier between loading and reading, 2 a halo that is a row short, 3 no guard at the right
// edge, 4 no barrier before the tile is loaded anew, 5 a barrier that only some threads reach.
#ifndef SHARED
#define SHARED(type, name) extern __shared__ type name[]
#endif
#ifndef FAULT
#define FAULT 0
#endif

constexpr int ROWS = 8, COLS = 16;  // of y, a block's tile
constexpr int HALO = TAPS - 1;

__constant__ float filter[TAPS];

extern "C" __global__ void column_sums(const float* __restrict__ x, float* __restrict__ y, int H, int W) {
    SHARED(float, tile);  // [ROWS + HALO][COLS]
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int w = blockIdx.x * COLS + tx;
    const int loaded = ROWS + HALO - (FAULT == 2);
    for (int first = 0; first < H; first += ROWS) {
        for (int row = ty; row < loaded; row += ROWS) {
            const int h = first + row - TAPS / 2;
            const bool inside = h >= 0 && h < H && w < W;
            tile[row * COLS + tx] = inside ? x[h * W + w] : 0.0f;
        }
#if FAULT == 5
        if (w < W) __syncthreads();
#elif FAULT != 1
        __syncthreads();
#endif
        float sum = 0.0f;
        for (int r = 0; r < TAPS; ++r) sum = fmaf(tile[(ty + r) * COLS + tx], filter[r], sum);
        if (first + ty < H && (w < W || FAULT == 3)) y[(first + ty) * W + w] = sum;
#if FAULT != 4
        __syncthreads();
#endif
    }
}
