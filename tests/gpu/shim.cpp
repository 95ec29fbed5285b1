// Runs one kernel, whose source is KERNEL_FILE and whose name is KERNEL: as a library, or with PROGRAM as a program.
//
// The program is for the sanitizers, and reads from standard input
//
//   int32 order, seed, grid[3], block[3]; int64 shared bytes; int32 arguments
//   each argument: int32 is_buffer; int64 bytes; the bytes
//   with CONSTANT, the name of a __constant__ array: int64 bytes; the bytes
//
// and writes the buffers, as the kernel left them, to standard output.
#include "shim.h"
#include KERNEL_FILE

namespace {

struct Argument {
    bool is_buffer;
    size_t bytes;
    void* memory;
};

const Argument* arguments;
size_t argument_count;

template <class T> T given(size_t index) {
    const Argument& argument = arguments[index];
    if constexpr (std::is_pointer_v<T>) {
        if (!argument.is_buffer) shim::fail("a pointer is given a number", static_cast<int>(index));
        return static_cast<T>(argument.memory);
    } else {
        if (argument.is_buffer || argument.bytes != sizeof(T)) shim::fail("a number of another size", static_cast<int>(index));
        T value;
        std::memcpy(&value, argument.memory, sizeof value);
        return value;
    }
}

template <class... A, size_t... I> void call(void (*kernel)(A...), std::index_sequence<I...>) {
    if (argument_count != sizeof...(A)) shim::fail("another number of arguments", static_cast<int>(sizeof...(A)));
    kernel(given<A>(I)...);
}

template <class... A> void call(void (*kernel)(A...)) { call(kernel, std::index_sequence_for<A...>{}); }

void launch(int order, int seed, const int* grid, const int* block, size_t shared_bytes) {
    std::mt19937 chance(static_cast<unsigned>(seed));
    const auto size = [](const int* extents) {
        return dim3{static_cast<unsigned>(extents[0]), static_cast<unsigned>(extents[1]), static_cast<unsigned>(extents[2])};
    };
    shim::grid_size = size(grid);
    shim::block_size = size(block);
    shim::shared.assign(shared_bytes, 0);
    for (shim::Fiber& fiber : shim::fibers) fiber.begun = false;  // what a launch that failed has left
    shim::body = [] { call(KERNEL); };
    for (unsigned z = 0; z < shim::grid_size.z; ++z)
        for (unsigned y = 0; y < shim::grid_size.y; ++y)
            for (unsigned x = 0; x < shim::grid_size.x; ++x) {
                shim::block_index = {x, y, z};
                shim::run_block(static_cast<shim::Order>(order), chance);
            }
}

}  // namespace

#ifndef PROGRAM

// 0, or 1 with what went wrong in `message`.
extern "C" int shim_launch(int order, int seed, const int* grid, const int* block, size_t shared_bytes, int count,
                           const int* is_buffer, const size_t* bytes, void* const* memory, char* message, size_t room) {
    std::vector<Argument> given;
    for (int i = 0; i < count; ++i) given.push_back({is_buffer[i] != 0, bytes[i], memory[i]});
    arguments = given.data();
    argument_count = given.size();
    try {
        launch(order, seed, grid, block, shared_bytes);
    } catch (const shim::Failure& failure) {
        std::snprintf(message, room, "%s", failure.what.c_str());
        return 1;
    }
    return 0;
}

#else

namespace {

void read_into(void* memory, size_t bytes) {
    if (bytes != 0 && std::fread(memory, 1, bytes, stdin) != bytes) throw shim::Failure{"the input ends too early"};
}

template <class T> T read_value() {
    T value;
    read_into(&value, sizeof value);
    return value;
}

// Aligned as cudaMalloc aligns, and with nothing behind it.
Argument read_argument() {
    const bool is_buffer = read_value<int32_t>() != 0;
    const auto bytes = static_cast<size_t>(read_value<int64_t>());
    void* memory = nullptr;
    if (posix_memalign(&memory, 256, bytes) != 0) throw shim::Failure{"out of memory"};
    read_into(memory, bytes);
    return {is_buffer, bytes, memory};
}

void run() {
    const int order = read_value<int32_t>(), seed = read_value<int32_t>();
    int grid[3], block[3];
    read_into(grid, sizeof grid);
    read_into(block, sizeof block);
    const auto shared_bytes = static_cast<size_t>(read_value<int64_t>());
    std::vector<Argument> given(static_cast<size_t>(read_value<int32_t>()));
    for (Argument& argument : given) argument = read_argument();
    arguments = given.data();
    argument_count = given.size();
#ifdef CONSTANT
    const auto bytes = static_cast<size_t>(read_value<int64_t>());
    if (bytes > sizeof(CONSTANT)) throw shim::Failure{"more than the constant holds"};
    read_into(CONSTANT, bytes);
#endif
    launch(order, seed, grid, block, shared_bytes);
    for (const Argument& argument : given)
        if (argument.is_buffer) std::fwrite(argument.memory, 1, argument.bytes, stdout);
}

}  // namespace

int main() {
    try {
        run();
    } catch (const shim::Failure& failure) {
        std::fprintf(stderr, "shim: %s\n", failure.what.c_str());
        return 3;
    }
    return 0;
}

#endif
