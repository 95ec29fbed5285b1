// What the timing of a card needs: a launch that holds the queue until all is in it, and a look at the clock.
//
// Macros: REAL, which is not used.
#include "common.cuh"

__device__ __forceinline__ long long nanoseconds() {
    long long now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}

// Keep the stream busy until the host sets the flag, or for `limit_ns`.
KERNEL_OF(1)
hold(volatile int* flag, long long limit_ns) {
    const long long start = nanoseconds();
    while (*flag == 0 && nanoseconds() - start < limit_ns) {
    }
}

// Cycles and nanoseconds that pass in some `span_ns`: the multiprocessor's clock now.
KERNEL_OF(1)
look_at_clock(long long* passed, long long span_ns) {
    const long long start = nanoseconds(), start_cycles = clock64();
    long long now = start;
    while (now - start < span_ns) now = nanoseconds();
    passed[0] = clock64() - start_cycles;
    passed[1] = now - start;
}
