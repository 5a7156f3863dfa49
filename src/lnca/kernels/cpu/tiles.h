// Matrix products in the tile registers of AMX: 16 cells by 32 inputs and 32 inputs by 16 outputs at a time, bfloat16 in, float32
// sums. Two tiles of cells and two of outputs are worked on together, so that every tile that is loaded is used twice, and
// loading hides behind multiplying.
#pragma once
#include "simd.h"

namespace LNCA_ISA {

// What a thread has to hold while it multiplies T; only tiles need any preparation.
template <class T> struct Preparation {};

#if defined(__AMX_BF16__)
constexpr int TILE = 16;               // rows of a tile, and outputs
constexpr int DEPTH = 32;              // inputs of a tile
constexpr int WORDS = TILE * DEPTH / 2;  // 32-bit words of a tile

// All eight tile registers at their full size. Released at the end, so that the thread's registers are small again to save.
template <> struct Preparation<half> {
    Preparation() {
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes_of_row[16] = {};
            uint8_t rows[16] = {};
        } shape;
        for (int i = 0; i < 8; i++) shape.bytes_of_row[i] = 64, shape.rows[i] = TILE;
        _tile_loadconfig(&shape);
    }
    ~Preparation() { _tile_release(); }
    Preparation(const Preparation &) = delete;
    Preparation &operator=(const Preparation &) = delete;
};

// sums[ROWS * 16][COLUMNS * 16] of ROWS * 16 cells and one or two columns of tiles, each of `depth` tiles of inputs.
template <int ROWS, int COLUMNS>
inline void multiply_panel(const half *x, int x_stride, int depth, const uint32_t *weight, float *sums, int stride) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const uint32_t *next = weight + depth * WORDS;
    for (int k = 0; k < depth; k++, x += DEPTH, weight += WORDS, next += WORDS) {
        _tile_loadd(4, x, x_stride * sizeof(half));
        _tile_loadd(6, weight, DEPTH * sizeof(half));
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (COLUMNS == 2) {
            _tile_loadd(7, next, DEPTH * sizeof(half));
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (ROWS == 2) {
            _tile_loadd(5, x + TILE * x_stride, x_stride * sizeof(half));
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (COLUMNS == 2) _tile_dpbf16ps(3, 5, 7);
        }
    }
    int64_t bytes = stride * sizeof(float);
    _tile_stored(0, sums, bytes);
    if constexpr (COLUMNS == 2) _tile_stored(1, sums + TILE, bytes);
    if constexpr (ROWS == 2) _tile_stored(2, sums + TILE * stride, bytes);
    if constexpr (ROWS == 2 && COLUMNS == 2) _tile_stored(3, sums + TILE * stride + TILE, bytes);
}

// The same for any number of columns.
template <int ROWS>
inline void multiply(const half *x, int x_stride, int depth, const uint32_t *weight, int columns, float *sums, int stride) {
    // Compilers take a tile's load for something that reads no memory; this makes them write x before.
    asm volatile("" ::: "memory");
    for (; columns > 1; columns -= 2, weight += 2 * depth * WORDS, sums += 2 * TILE)
        multiply_panel<ROWS, 2>(x, x_stride, depth, weight, sums, stride);
    if (columns) multiply_panel<ROWS, 1>(x, x_stride, depth, weight, sums, stride);
}

// Multiplies tiles in registers, `rounds` times four of them; returns the operations done.
inline double multiply_tiles(int64_t rounds) {
    const Preparation<half> prepared;
    for (int64_t i = 0; i < rounds; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    return double(rounds) * 4 * 2 * TILE * TILE * DEPTH;
}
#endif

}  // namespace LNCA_ISA
