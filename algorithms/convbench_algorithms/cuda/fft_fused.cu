// Convolution by FFTs of tiles that stay in shared memory: cut, transformed, multiplied, transformed back and cropped by
// one kernel, so that x is read once (and what tiles overlap by again) and y written once.
//
// Two tiles of an image go through as the real and the imaginary part of one: the filter is real, so convolving keeps them apart.
//
// A line of N = A·B points, point B·a + b, is transformed in two passes (Cooley and Tukey's): for each b over a, then for each
// place that this fills over b; a thread has the A or B points of one such transform in registers. They come out in an order
// of their own, in which the filter's spectrum was left, too; the inverse undoes the passes one by one. Columns are first,
// and last: neighbouring threads have neighbouring columns, in x and y as well. Rows lie an odd number of points apart, so
// that neighbouring threads that have neighbouring rows meet no bank twice, either.
//
// Macros: REAL, STORED; FIRST and SECOND, which are A and B here, powers of two of at most 16. Threads: THREADS.
#include "complex.cuh"

constexpr int A = FIRST, B = SECOND, N = A * B;
constexpr int THREADS = 4 * N;
constexpr int PITCH = N + 1;

extern "C" {
__constant__ Complex roots[N];  // exp(-2πi·j/N)
}

// a·exp(-2πi·j/16), or with +2πi: j is known to the compiler.
template <bool INVERSE> __device__ __forceinline__ Complex turned(Complex a, int j) {
    constexpr double COS[8] = {1, 0.92387953251128675613, 0.70710678118654752440, 0.38268343236508977173,
                               0, -0.38268343236508977173, -0.70710678118654752440, -0.92387953251128675613};
    if (j == 0) return a;
    if (j == 4) return INVERSE ? Complex{-a.im, a.re} : Complex{a.im, -a.re};
    const REAL c = static_cast<REAL>(COS[j]), s = static_cast<REAL>(j < 4 ? COS[4 - j] : COS[j - 4]);
    return INVERSE ? Complex{a.re * c - a.im * s, a.im * c + a.re * s} : Complex{a.re * c + a.im * s, a.im * c - a.re * s};
}

// The transform of COUNT ≤ 16 points, which come out in bit-reversed order.
template <int COUNT> __device__ __forceinline__ void transform(Complex* v) {
    if constexpr (COUNT > 1) {
#pragma unroll
        for (int i = 0; i < COUNT / 2; ++i) {
            const Complex a = v[i], b = v[i + COUNT / 2];
            v[i] = a + b;
            v[i + COUNT / 2] = turned<false>(a - b, i * (16 / COUNT));
        }
        transform<COUNT / 2>(v);
        transform<COUNT / 2>(v + COUNT / 2);
    }
}

// COUNT times its inverse, out of that order.
template <int COUNT> __device__ __forceinline__ void inverse(Complex* v) {
    if constexpr (COUNT > 1) {
        inverse<COUNT / 2>(v);
        inverse<COUNT / 2>(v + COUNT / 2);
#pragma unroll
        for (int i = 0; i < COUNT / 2; ++i) {
            const Complex a = v[i], b = turned<true>(v[i + COUNT / 2], i * (16 / COUNT));
            v[i] = a + b;
            v[i + COUNT / 2] = a - b;
        }
    }
}

__device__ constexpr int reversed(int i, int count) {
    int found = 0;
    for (int bit = 1; bit < count; bit *= 2) found = 2 * found + (i / bit) % 2;
    return found;
}

// The twiddle factors between the two passes, of the points that the transform with that b left.
template <bool INVERSE> __device__ __forceinline__ void twiddle(Complex* v, int b) {
#pragma unroll
    for (int i = 1; i < A; ++i) {
        const Complex root = roots[b * reversed(i, A) % N];
        v[i] = v[i] * (INVERSE ? conjugate(root) : root);
    }
}

// A point of a line: of a column, or of a row.
__device__ __forceinline__ Complex& point(Complex* tile, bool rows, int line, int at) {
    return tile[rows ? line * PITCH + at : at * PITCH + line];
}

// The first pass over lines, whose points load(line, at) gives.
template <class Load> __device__ __forceinline__ void first_pass(Complex* tile, bool rows, const Load& load) {
#pragma unroll 1
    for (int item = threadIdx.x; item < N * B; item += THREADS) {
        const int line = item % N, b = item / N;
        Complex v[A];
#pragma unroll
        for (int a = 0; a < A; ++a) v[a] = load(line, a * B + b);
        transform<A>(v);
        twiddle<false>(v, b);
#pragma unroll
        for (int i = 0; i < A; ++i) point(tile, rows, line, i * B + b) = v[i];
    }
}

// The second pass, or its inverse, or one with what lies between: work(v, item) has the B points of each item.
template <class Work> __device__ __forceinline__ void second_pass(Complex* tile, bool rows, const Work& work) {
#pragma unroll 1
    for (int item = threadIdx.x; item < N * A; item += THREADS) {
        const int line = item % N, i = item / N;
        Complex v[B];
#pragma unroll
        for (int b = 0; b < B; ++b) v[b] = point(tile, rows, line, i * B + b);
        work(v, item);
#pragma unroll
        for (int b = 0; b < B; ++b) point(tile, rows, line, i * B + b) = v[b];
    }
}

// The first pass undone: store(line, at, value) takes each point.
template <class Store> __device__ __forceinline__ void undo_first_pass(Complex* tile, bool rows, const Store& store) {
#pragma unroll 1
    for (int item = threadIdx.x; item < N * B; item += THREADS) {
        const int line = item % N, b = item / N;
        Complex v[A];
#pragma unroll
        for (int i = 0; i < A; ++i) v[i] = point(tile, rows, line, i * B + b);
        twiddle<true>(v, b);
        inverse<A>(v);
#pragma unroll
        for (int a = 0; a < A; ++a) store(line, a * B + b, v[a]);
    }
}

// From the columns' points to the rows' spectrum, of which work(v, item) has the part of each item in second_pass().
template <class Load, class Work> __device__ __forceinline__ void spectrum(Complex* tile, const Load& load, const Work& work) {
    first_pass(tile, false, load);
    __syncthreads();
    second_pass(tile, false, [](Complex* v, int) { transform<B>(v); });
    __syncthreads();
    first_pass(tile, true, [&](int line, int at) { return point(tile, true, line, at); });
    __syncthreads();
    second_pass(tile, true, [&](Complex* v, int item) {
        transform<B>(v);
        work(v, item);
    });
}

// spectra [filter][B][N·A]: scale · conj F(padded [filter][N][N]), as `convolve` multiplies by it.
KERNEL_OF(THREADS)
filter_spectrum(const REAL* padded, Complex* spectra, REAL scale) {
    SHARED(Complex, tile);
    const REAL* filter = padded + static_cast<Index>(blockIdx.x) * N * N;
    Complex* target = spectra + static_cast<Index>(blockIdx.x) * N * N;
    spectrum(
        tile, [&](int line, int at) { return Complex{filter[at * N + line], 0}; },
        [&](Complex* v, int item) {
#pragma unroll
            for (int b = 0; b < B; ++b) target[b * (N * A) + item] = {scale * v[b].re, -scale * v[b].im};
        });
}

// y[image,k] for the tiles 2·blockIdx.x and the one after, counted along the rows of the first image, then down, then
// through the images. Tile (i, j) begins at the padded position (i·step_rows, j·step_cols), and its first
// fit_rows × fit_cols outputs are right. Of the padded image, rows × cols are seen by some output.
KERNEL_OF(THREADS, sizeof(REAL) / 8)
convolve(const Stored* x, Stored* y, const Complex* spectra, const int* row_map, const int* col_map, int rows, int cols,
         int C, int H, int W, int K, int P, int Q, int filters, int u, int v, int down, int across, int step_rows,
         int step_cols, int fit_rows, int fit_cols, int tiles) {
    SHARED(Complex, tile);
    const int k = blockIdx.y;
    const Stored* seen[2];
    Stored* target[2];
    int row0[2], col0[2], p0[2], q0[2];
#pragma unroll
    for (int part = 0; part < 2; ++part) {
        const int at = 2 * blockIdx.x + part, image = at / across / down;
        const int i = at < tiles ? at / across % down : rows, j = at % across;  // beyond the last: sees and stores nothing
        seen[part] = x + (static_cast<Index>(image) * C + k / filters) * H * W;
        target[part] = y + (static_cast<Index>(image) * K + k) * P * Q;
        row0[part] = i * step_rows, col0[part] = j * step_cols;
        p0[part] = i * fit_rows, q0[part] = j * fit_cols;
    }
    const auto value = [&](int part, int line, int at) {
        const int row = row0[part] + at, col = col0[part] + line;
        return row < rows && col < cols ? padded_at(seen[part], W, row_map[row], col_map[col]) : REAL(0);
    };
    const Complex* filter = spectra + static_cast<Index>(k) * N * N;
    spectrum(
        tile, [&](int line, int at) { return Complex{value(0, line, at), value(1, line, at)}; },
        [&](Complex* held, int item) {
#pragma unroll
            for (int b = 0; b < B; ++b) held[b] = held[b] * filter[b * (N * A) + item];
            inverse<B>(held);
        });
    __syncthreads();
    undo_first_pass(tile, true, [&](int line, int at, Complex found) { point(tile, true, line, at) = found; });
    __syncthreads();
    second_pass(tile, false, [](Complex* v, int) { inverse<B>(v); });
    __syncthreads();
    undo_first_pass(tile, false, [&](int line, int at, Complex found) {
        const int i = at / u, j = line / v;
        if (at % u || line % v || i >= fit_rows || j >= fit_cols) return;
        if (p0[0] + i < P && q0[0] + j < Q) put(target[0][static_cast<Index>(p0[0] + i) * Q + q0[0] + j], found.re);
        if (p0[1] + i < P && q0[1] + j < Q) put(target[1][static_cast<Index>(p0[1] + i) * Q + q0[1] + j], found.im);
    });
}
