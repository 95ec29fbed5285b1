// Copies from memory to shared memory that pass by the registers, and that nobody waits for until they are needed.
#pragma once
#include "common.cuh"

#ifndef STAND_IN  // the CPU's has its own

__device__ __forceinline__ unsigned shared_address(const void* at) { return static_cast<unsigned>(__cvta_generic_to_shared(at)); }

// BYTES are 4, 8 or 16. What is copied stays in the first cache, for the taps beside these.
template <int BYTES> __device__ __forceinline__ void copy_async(void* to, const void* from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(to)), "l"(from), "n"(BYTES) : "memory");
}

// The same, or zeros; then nothing is read.
template <int BYTES> __device__ __forceinline__ void copy_async_or_zero(void* to, const void* from, bool exists) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to)), "l"(from), "n"(BYTES),
                 "r"(exists ? BYTES : 0)
                 : "memory");
}

// 16 bytes past the first cache: this block does not come back for them.
__device__ __forceinline__ void copy_async_once(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

// What this thread has copied since the last call is a group.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until of this thread's groups all but the last PENDING are there; what others copied is theirs to wait for, then a barrier.
template <int PENDING> __device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#endif
