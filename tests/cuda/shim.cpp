// Runs one kernel, whose source is KERNEL_FILE and whose name is KERNEL, on what comes in on standard input.
//
//   int32 order, seed, grid[3], block[3]; int64 shared bytes; int32 arguments
//   each argument: int32 is_buffer; int64 bytes; the bytes
//   with CONSTANT, the name of a __constant__ array: int64 bytes; the bytes
//
// and writes the buffers, as the kernel left them, to standard output.
#include <algorithm>

#include "shim.h"
#include KERNEL_FILE

namespace {

template <class T> T read_value() {
    T value;
    if (std::fread(&value, sizeof value, 1, stdin) != 1) shim::fail("the input ends too early", 0);
    return value;
}

struct Argument {
    bool is_buffer;
    std::vector<char> value;  // a scalar's bytes
    char* memory = nullptr;   // a buffer: aligned as cudaMalloc aligns, and with nothing behind it
    size_t bytes = 0;
};

std::vector<Argument> arguments;

void read_into(char* memory, size_t bytes) {
    if (bytes != 0 && std::fread(memory, 1, bytes, stdin) != bytes) shim::fail("the input ends too early", 0);
}

Argument read_argument() {
    Argument argument;
    argument.is_buffer = read_value<int32_t>() != 0;
    argument.bytes = static_cast<size_t>(read_value<int64_t>());
    if (argument.is_buffer) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 256, argument.bytes) != 0) shim::fail("out of memory", 0);
        argument.memory = static_cast<char*>(memory);
        read_into(argument.memory, argument.bytes);
    } else {
        argument.value.resize(argument.bytes);
        read_into(argument.value.data(), argument.bytes);
    }
    return argument;
}

template <class T> T given(size_t index) {
    const Argument& argument = arguments[index];
    if constexpr (std::is_pointer_v<T>) {
        if (!argument.is_buffer) shim::fail("a pointer is given a number", static_cast<int>(index));
        return reinterpret_cast<T>(argument.memory);
    } else {
        if (argument.is_buffer || argument.bytes != sizeof(T)) shim::fail("a number of another size", static_cast<int>(index));
        T value;
        std::memcpy(&value, argument.value.data(), sizeof value);
        return value;
    }
}

template <class... A, size_t... I> void call(void (*kernel)(A...), std::index_sequence<I...>) {
    if (arguments.size() != sizeof...(A)) shim::fail("another number of arguments", static_cast<int>(sizeof...(A)));
    kernel(given<A>(I)...);
}

template <class... A> void call(void (*kernel)(A...)) { call(kernel, std::index_sequence_for<A...>{}); }

}  // namespace

int main() {
    const auto order = static_cast<shim::Order>(read_value<int32_t>());
    std::mt19937 chance(static_cast<unsigned>(read_value<int32_t>()));
    for (dim3* size : {&shim::grid_size, &shim::block_size})
        for (unsigned* extent : {&size->x, &size->y, &size->z}) *extent = static_cast<unsigned>(read_value<int32_t>());
    shim::shared.resize(static_cast<size_t>(read_value<int64_t>()));
    arguments.resize(static_cast<size_t>(read_value<int32_t>()));
    for (Argument& argument : arguments) argument = read_argument();
#ifdef CONSTANT
    const auto bytes = static_cast<size_t>(read_value<int64_t>());
    if (bytes > sizeof(CONSTANT)) shim::fail("more than the constant holds", 0);
    read_into(reinterpret_cast<char*>(CONSTANT), bytes);
#endif
    shim::body = [] { call(KERNEL); };
    for (unsigned z = 0; z < shim::grid_size.z; ++z)
        for (unsigned y = 0; y < shim::grid_size.y; ++y)
            for (unsigned x = 0; x < shim::grid_size.x; ++x) {
                shim::block_index = {x, y, z};
                shim::run_block(order, chance);
            }
    for (const Argument& argument : arguments)
        if (argument.is_buffer) std::fwrite(argument.memory, 1, argument.bytes, stdout);
    return 0;
}
