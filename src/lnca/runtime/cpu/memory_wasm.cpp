// The allocator of the page's module, which has no C library, and memchr. Memory is a sequence of blocks, each with a header that
// holds its size. Only the page's worker allocates and frees memory, no other thread does.
#if defined(__wasm__)
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" unsigned char __heap_base;

namespace {

// The header of a block. It has the size of a cache line, so that all blocks are aligned to cache lines.
struct alignas(64) Block {
    size_t size;  // in bytes, including this header
    bool taken;

    Block *next() { return reinterpret_cast<Block *>(reinterpret_cast<char *>(this) + size); }
};

constexpr size_t LINE = sizeof(Block), PAGE = 65536;
Block *first = nullptr, *end = nullptr;

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// A new block of `size` bytes at the end of the memory; null if the memory cannot grow.
Block *grown(size_t size) {
    if (!first) first = end = reinterpret_cast<Block *>(rounded(reinterpret_cast<uintptr_t>(&__heap_base), LINE));
    uintptr_t wanted = reinterpret_cast<uintptr_t>(end) + size, available = __builtin_wasm_memory_size(0) * PAGE;
    if (wanted > available && __builtin_wasm_memory_grow(0, rounded(wanted - available, PAGE) / PAGE) == size_t(-1)) return nullptr;
    Block *block = end;
    block->size = size;
    end = block->next();
    return block;
}

}  // namespace

extern "C" {

void *malloc(size_t bytes) {
    size_t size = rounded(bytes, LINE) + LINE;
    for (Block *block = first; block != end; block = block->next()) {
        if (block->taken) continue;
        // Merge the free blocks that follow.
        while (block->next() != end && !block->next()->taken) block->size += block->next()->size;
        if (block->next() == end) {
            end = block;
            break;
        }
        if (block->size < size) continue;
        if (block->size > size) {
            Block *rest = reinterpret_cast<Block *>(reinterpret_cast<char *>(block) + size);
            *rest = {block->size - size, false};
            block->size = size;
        }
        block->taken = true;
        return block + 1;
    }
    Block *block = grown(size);
    if (!block) return nullptr;
    block->taken = true;
    return block + 1;
}

void free(void *pointer) {
    if (pointer) static_cast<Block *>(pointer)[-1].taken = false;
}

void *memchr(const void *bytes, int wanted, size_t count) {
    const unsigned char *at = static_cast<const unsigned char *>(bytes);
    for (; count--; at++)
        if (*at == static_cast<unsigned char>(wanted)) return const_cast<unsigned char *>(at);
    return nullptr;
}

}  // extern "C"

void *operator new(size_t bytes) {
    void *pointer = malloc(bytes);
    if (!pointer) __builtin_trap();
    return pointer;
}
void operator delete(void *pointer) noexcept { free(pointer); }
void operator delete(void *pointer, size_t) noexcept { free(pointer); }
#endif
