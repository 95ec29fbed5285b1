// CUDA C++ kernels as plain C++, for testing their logic where there is no GPU.
//
// The exact source of a kernel is compiled by g++ with this header in front. A block's threads are fibers of one
// operating-system thread that run one after another from barrier to barrier, in an order that is chosen: forward,
// reverse, or shuffled anew in each phase. A result that depends on the order lacks a barrier. Blocks follow each
// other. Shared memory is dynamic (SHARED), and poisoned with NaN before each block, so that nothing is read that
// this block has not written. Copies that nobody waits for are made at once in forward order, and in the others as late as
// they may be. Memory errors are the sanitizers' to find: every buffer is an allocation of its own.
//
// It knows nothing of bank conflicts, of memory that is not coalesced, or of races between blocks: those need a card.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <setjmp.h>
#include <string>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
template <class T> T __ldg(const T* p) { return *p; }
using std::fma;
using std::fmaf;
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

namespace shim {

constexpr int WARP = 32;
constexpr size_t STACK_BYTES = 64 * 1024;

enum class Order { forward, reverse, shuffled };
enum class State { ready, at_barrier, at_shuffle, done };

struct Copy {  // from memory to shared memory, of bytes, or zeros where there is no source
    void* to;
    const void* from;
    size_t bytes;
};

struct Fiber {
    ucontext_t context;
    jmp_buf place;       // where it goes on
    bool begun = false;  // in this launch
    std::vector<char> stack = std::vector<char>(STACK_BYTES);
    dim3 thread;
    State state = State::ready;
    int line = 0;       // of the barrier or shuffle that it waits at
    unsigned mask = 0;  // of the shuffle
    int shuffles = 0;   // so far
    std::vector<std::vector<Copy>> groups;  // of copies that are under way; the last one is open
};

struct Failure {
    std::string what;
};

inline dim3 grid_size, block_size, block_index;
inline std::vector<Fiber> fibers;
inline Fiber* running = nullptr;
inline ucontext_t scheduler;
inline jmp_buf scheduler_place;
inline std::vector<char> shared;
inline uint64_t slots[2][1024];  // what each thread hands to its warp, by the parity of its shuffles
inline void (*body)();
inline std::string failure;  // of the fiber that has just stopped

// Between the scheduler and a fiber, and back. The sanitizers follow swapcontext, which costs a system call each time;
// without them a fiber lives for a whole launch, and is gone to with longjmp.
#ifdef PROGRAM
inline void leave() { swapcontext(&running->context, &scheduler); }
inline void enter() { swapcontext(&scheduler, &running->context); }
#else
__attribute__((noinline)) inline void leave() {
    if (_setjmp(running->place) == 0) _longjmp(scheduler_place, 1);
}
__attribute__((noinline)) inline void enter() {
    if (_setjmp(scheduler_place) != 0) return;
    if (std::exchange(running->begun, true)) _longjmp(running->place, 1);
    setcontext(&running->context);
}
#endif

// Give the launch up. A fiber may not throw: it leaves word, and the scheduler does.
[[noreturn]] inline void fail(const char* what, int line) {
    const std::string told = std::string(what) + " (line " + std::to_string(line) + ")";
    if (running == nullptr) throw Failure{told};
    failure = told;
    leave();
    std::abort();  // nobody resumes it
}

inline void wait(State state, int line) {
    running->state = state;
    running->line = line;
    leave();
}

inline void start() {
    for (;;) {
        body();
        running->state = State::done;
        leave();
    }
}

inline int index_of(const Fiber& fiber) { return static_cast<int>(&fiber - fibers.data()); }

// Let the warps go whose lanes have all come to the shuffle that they wait at. Whether any was.
inline bool release_warps() {
    bool any = false;
    const int count = static_cast<int>(fibers.size());
    for (int first = 0; first < count; first += WARP) {
        const int last = first + WARP < count ? first + WARP : count;
        for (int i = first; i < last; ++i) {
            if (fibers[i].state != State::at_shuffle) continue;
            bool complete = true;
            for (int lane = 0; lane < WARP && complete; ++lane) {
                if (!(fibers[i].mask >> lane & 1)) continue;
                const int other = first + lane;
                complete = other < last && fibers[other].state == State::at_shuffle &&
                           fibers[other].line == fibers[i].line && fibers[other].mask == fibers[i].mask;
            }
            if (!complete) continue;
            for (int lane = 0; lane < WARP; ++lane)
                if (fibers[i].mask >> lane & 1) fibers[first + lane].state = State::ready;
            any = true;
        }
    }
    return any;
}

// Let all go on from the barrier that all wait at. Whether there was anyone left.
inline bool release_block() {
    const Fiber* waiting = nullptr;
    for (const Fiber& fiber : fibers) {
        if (fiber.state == State::at_shuffle) fail("a shuffle waits for lanes that do not come", fiber.line);
        if (fiber.state == State::at_barrier) waiting = &fiber;
    }
    if (waiting == nullptr) return false;
    for (Fiber& fiber : fibers) {
        if (fiber.state == State::done) fail("a thread has left before a barrier that others wait at", waiting->line);
        if (fiber.line != waiting->line) fail("threads wait at different barriers", waiting->line);
        fiber.state = State::ready;
    }
    return true;
}

inline bool late;  // whether copies are made as late as they may be, when they are waited for, or at once

inline void make(const Copy& copy) {
    if (copy.from == nullptr)
        std::memset(copy.to, 0, copy.bytes);
    else
        std::memcpy(copy.to, copy.from, copy.bytes);
}

inline void copy_async(const Copy& copy, int line) {
    if ((reinterpret_cast<uintptr_t>(copy.to) | reinterpret_cast<uintptr_t>(copy.from)) % copy.bytes != 0)
        fail("a copy is not aligned", line);
    if (late)
        running->groups.back().push_back(copy);
    else
        make(copy);
}

inline void wait_for_copies(size_t pending) {
    std::vector<std::vector<Copy>>& groups = running->groups;
    while (groups.size() - 1 > pending) {
        for (const Copy& copy : groups.front()) make(copy);
        groups.erase(groups.begin());
    }
}

inline void run_block(Order order, std::mt19937& chance) {
    late = order != Order::forward;
    for (float* p = reinterpret_cast<float*>(shared.data()); p < reinterpret_cast<float*>(shared.data() + shared.size()); ++p)
        *p = NAN;
    const size_t count = size_t{block_size.x} * block_size.y * block_size.z;
    fibers.resize(count);
    std::vector<int> turns(count);
    for (size_t i = 0; i < count; ++i) {
        Fiber& fiber = fibers[i];
        fiber.thread = {static_cast<unsigned>(i % block_size.x), static_cast<unsigned>(i / block_size.x % block_size.y),
                        static_cast<unsigned>(i / block_size.x / block_size.y)};
        fiber.state = State::ready;
        fiber.shuffles = 0;
        fiber.groups.assign(1, {});
        turns[i] = static_cast<int>(order == Order::reverse ? count - 1 - i : i);
#ifndef PROGRAM
        if (fiber.begun) continue;
#endif
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, start, 0);
    }
    do {
        do {
            if (order == Order::shuffled) std::shuffle(turns.begin(), turns.end(), chance);
            for (int turn : turns) {
                if (fibers[turn].state != State::ready) continue;
                running = &fibers[turn];
                enter();
                running = nullptr;
                if (!failure.empty()) throw Failure{std::exchange(failure, "")};
            }
        } while (release_warps());
    } while (release_block());
}

template <class T> T exchange(unsigned mask, T value, int source, int line) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    const int me = index_of(*running), warp = me / WARP * WARP, parity = running->shuffles++ & 1;
    if (!(mask >> (me - warp) & 1)) fail("a lane shuffles that is not in its own mask", line);
    std::memcpy(&slots[parity][me], &value, sizeof(T));
    running->mask = mask;
    wait(State::at_shuffle, line);
    T found;
    std::memcpy(&found, &slots[parity][warp + source], sizeof(T));
    return found;
}

inline int lane() { return index_of(*running) % WARP; }

inline uint32_t fragments[2][1024][6];  // what each thread brings to a product of its warp, by the parity of its shuffles

// d += a · b of a warp: 16 × 8 words times 8 × 8 words, lane l = 4·g + t holding a(g, t), a(g + 8, t), a(g, t + 4),
// a(g + 8, t + 4), b(t, g), b(t + 4, g), and of d the columns 2t and 2t + 1 of the rows g and g + 8.
template <class Product> void multiply_words(float* d, const unsigned* a, const unsigned* b, Product product, int line) {
    const int me = index_of(*running), warp = me / WARP * WARP, parity = running->shuffles & 1;
    std::memcpy(fragments[parity][me], a, 4 * sizeof(uint32_t));
    std::memcpy(fragments[parity][me] + 4, b, 2 * sizeof(uint32_t));
    exchange(0xffffffffu, 0, 0, line);
    for (int i = 0; i < 4; ++i) {
        const int row = (me - warp) / 4, column = 2 * ((me - warp) % 4) + i % 2;
        for (int word = 0; word < 8; ++word)
            d[i] += product(fragments[parity][warp + 4 * row + word % 4][i / 2 + word / 4 * 2],
                            fragments[parity][warp + 4 * column + word % 4][4 + word / 4]);
    }
}

}  // namespace shim

template <int BYTES> void copy_async(void* to, const void* from) { shim::copy_async({to, from, BYTES}, __LINE__); }
template <int BYTES> void copy_async_or_zero(void* to, const void* from, bool exists) {
    shim::copy_async({to, exists ? from : nullptr, BYTES}, __LINE__);
}
inline void copy_async_once(void* to, const void* from) { shim::copy_async({to, from, 16}, __LINE__); }
inline void commit_copies() { shim::running->groups.emplace_back(); }
template <int PENDING> void wait_for_copies() { shim::wait_for_copies(PENDING); }

// IEEE 754's binary16: a sign, five bits of exponent, ten of the fraction.
inline float float_of_half(unsigned short bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float magnitude = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                            : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                            : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
    return bits >> 15 ? -magnitude : magnitude;
}

// Rounded to the nearest, ties to even.
inline unsigned short half_of_float(float value) {
    const unsigned sign = std::signbit(value) ? 0x8000u : 0u;
    const float magnitude = std::fabs(value);
    if (std::isnan(value)) return static_cast<unsigned short>(sign | 0x7e00u);
    if (magnitude >= 65520.0f) return static_cast<unsigned short>(sign | 0x7c00u);
    if (magnitude == 0) return static_cast<unsigned short>(sign);
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    const int unit = std::max(exponent - 11, -24);  // of the last place
    const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, -unit)));
    return static_cast<unsigned short>(sign | (steps + (static_cast<unsigned>(unit + 24) << 10)));
}

// A word as a tensor core reads it: what TF32 keeps of a float, or two halves.
inline float product_of_tf32(uint32_t a, uint32_t b) {
    const uint32_t words[] = {a & 0xffffe000u, b & 0xffffe000u};
    float values[2];
    std::memcpy(values, words, sizeof values);
    return values[0] * values[1];
}
inline float product_of_halves(uint32_t a, uint32_t b) {
    const auto low = [](uint32_t word) { return float_of_half(static_cast<unsigned short>(word)); };
    return low(a) * low(b) + low(a >> 16) * low(b >> 16);
}

#define threadIdx (shim::running->thread)
#define blockIdx (shim::block_index)
#define blockDim (shim::block_size)
#define gridDim (shim::grid_size)
#define STAND_IN
#define SHARED(type, name) type* const name = reinterpret_cast<type*>(shim::shared.data())
#define __syncthreads() shim::wait(shim::State::at_barrier, __LINE__)
#define __syncwarp(...) shim::exchange(0xffffffffu, 0, 0, __LINE__)
#define MULTIPLY_TF32(d, a, b) shim::multiply_words(d, a, b, product_of_tf32, __LINE__)
#define MULTIPLY_HALVES(d, a, b) shim::multiply_words(d, a, b, product_of_halves, __LINE__)
#define __shfl_sync(mask, value, source) shim::exchange(mask, value, (source) & 31, __LINE__)
#define __shfl_xor_sync(mask, value, bits) shim::exchange(mask, value, shim::lane() ^ (bits), __LINE__)
#define __shfl_up_sync(mask, value, by) \
    shim::exchange(mask, value, shim::lane() < static_cast<int>(by) ? shim::lane() : shim::lane() - static_cast<int>(by), __LINE__)
#define __shfl_down_sync(mask, value, by) \
    shim::exchange(mask, value, shim::lane() + static_cast<int>(by) > 31 ? shim::lane() : shim::lane() + static_cast<int>(by), __LINE__)
