// Matrix products in the tile registers of AMX: (16 cells, 32 inputs) x (32 inputs, 16 outputs), with factors in bfloat16 and sums
// in float32. Two tiles of cells and two of outputs are used together, so that every loaded tile is used twice, and products hide
// the latency of the loads.
#pragma once
#include "simd.h"

namespace LNCA_ISA {

// The state that a thread needs while it multiplies numbers of type T; only tiles need any.
template <class T> struct Preparation {};

#if defined(__AMX_BF16__)
constexpr int TILE = 16;                 // rows of a tile, and outputs of a tile of weights
constexpr int DEPTH = 32;                // inputs of a tile
constexpr int WORDS = TILE * DEPTH / 2;  // 32-bit words of a tile

// Configures all eight tile registers at their full size. The destructor releases them, so that context switches are cheap again.
template <> struct Preparation<half> {
    Preparation() {
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes_of_row[16] = {};
            uint8_t rows[16] = {};
        } shape;
        for (int i = 0; i < 8; i++) shape.bytes_of_row[i] = 64, shape.rows[i] = TILE;
        // GCC assumes that only the first eight bytes are read, and would not store the rest.
        asm volatile("" ::"r"(&shape) : "memory");
        _tile_loadconfig(&shape);
    }
    ~Preparation() { _tile_release(); }
    Preparation(const Preparation &) = delete;
    Preparation &operator=(const Preparation &) = delete;
};

// The left factor: cells or pixels at a distance of `stride`, whose inputs are in `runs` contiguous runs of `depth` tiles each.
struct Runs {
    const half *const *places;
    int runs, depth, stride;

    int tiles() const { return runs * depth; }  // tiles of weights for each column of tiles
};

// Computes sums[ROWS * 16][COLUMNS * 16] for ROWS * 16 cells and COLUMNS (1 or 2) successive columns of tiles.
template <int ROWS, int COLUMNS>
inline void multiply_panel(const Runs &x, int64_t offset, const uint32_t *weight, float *sums, int stride) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    int64_t step = x.stride * sizeof(half);
    const uint32_t *next = weight + x.tiles() * WORDS;
    for (int run = 0; run < x.runs; run++) {
        const half *cells = x.places[run] + offset;
        for (int k = 0; k < x.depth; k++, cells += DEPTH, weight += WORDS, next += WORDS) {
            _tile_loadd(4, cells, step);
            _tile_loadd(6, weight, DEPTH * sizeof(half));
            _tile_dpbf16ps(0, 4, 6);
            if constexpr (COLUMNS == 2) {
                _tile_loadd(7, next, DEPTH * sizeof(half));
                _tile_dpbf16ps(1, 4, 7);
            }
            if constexpr (ROWS == 2) {
                _tile_loadd(5, cells + TILE * x.stride, step);
                _tile_dpbf16ps(2, 5, 6);
                if constexpr (COLUMNS == 2) _tile_dpbf16ps(3, 5, 7);
            }
        }
    }
    int64_t row = stride * sizeof(float);
    _tile_stored(0, sums, row);
    if constexpr (COLUMNS == 2) _tile_stored(1, sums + TILE, row);
    if constexpr (ROWS == 2) _tile_stored(2, sums + TILE * stride, row);
    if constexpr (ROWS == 2 && COLUMNS == 2) _tile_stored(3, sums + TILE * stride + TILE, row);
}

// The same for up to 32 cells and any number of columns of tiles; `offset` is added to the addresses of the runs.
inline void multiply(const Runs &x, int64_t offset, int cells, const uint32_t *weight, int columns, float *sums, int stride) {
    // Compilers assume that loading a tile reads no memory; this makes them store x before.
    asm volatile("" ::: "memory");
    for (int column = 0; column < columns; column += 2, weight += 2 * x.tiles() * WORDS, sums += 2 * TILE) {
        auto panel = cells > TILE ? column + 1 < columns ? multiply_panel<2, 2> : multiply_panel<2, 1>
                                  : column + 1 < columns ? multiply_panel<1, 2> : multiply_panel<1, 1>;
        panel(x, offset, weight, sums, stride);
    }
}

// Multiplies four pairs of tiles in registers, `rounds` times; returns the number of operations.
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
