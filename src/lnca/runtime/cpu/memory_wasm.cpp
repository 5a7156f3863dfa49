// The memory of the page's module, which has no C library: blocks that lie one behind the other, each with its length before it; and
// the one other function of that library that the kernels call. Only the page's worker takes and gives back memory, no other thread.
#if defined(__wasm__)
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" unsigned char __heap_base;

namespace {

// What stands before a block, as long as a line of the cache, so that all blocks begin lines.
struct alignas(64) Block {
    size_t size;  // with this
    bool taken;

    Block *next() { return reinterpret_cast<Block *>(reinterpret_cast<char *>(this) + size); }
};

constexpr size_t LINE = sizeof(Block), PAGE = 65536;
Block *first = nullptr, *end = nullptr;

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// A free block of some size at the end of the memory; null where there is no more.
Block *grown(size_t size) {
    if (!first) first = end = reinterpret_cast<Block *>(rounded(reinterpret_cast<uintptr_t>(&__heap_base), LINE));
    uintptr_t wanted = reinterpret_cast<uintptr_t>(end) + size, there = __builtin_wasm_memory_size(0) * PAGE;
    if (wanted > there && __builtin_wasm_memory_grow(0, rounded(wanted - there, PAGE) / PAGE) == size_t(-1)) return nullptr;
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
        // Free ones behind it belong to it from now on.
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

void free(void *room) {
    if (room) static_cast<Block *>(room)[-1].taken = false;
}

void *memchr(const void *bytes, int wanted, size_t count) {
    const unsigned char *at = static_cast<const unsigned char *>(bytes);
    for (; count--; at++)
        if (*at == static_cast<unsigned char>(wanted)) return const_cast<unsigned char *>(at);
    return nullptr;
}

}  // extern "C"

void *operator new(size_t bytes) {
    void *room = malloc(bytes);
    if (!room) __builtin_trap();
    return room;
}
void operator delete(void *room) noexcept { free(room); }
void operator delete(void *room, size_t) noexcept { free(room); }
#endif
