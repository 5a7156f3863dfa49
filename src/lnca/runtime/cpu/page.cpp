// The functions that the page calls: the kernels with plain numbers as arguments, for whole pictures (rows, columns, channels),
// and the operations between them.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include "plan.h"
#include "threads.h"

namespace portable {
void run(const LncaRule &, const LncaLattice &);
void convolve(const LncaConvolution &, const LncaBand &, const LncaBand &, int64_t, int);
int vector_size();
int panel_size(int, int);
}  // namespace portable

// Calls work(row) for each of `rows` rows.
template <class Work> static void by_rows(int threads, int rows, Work work) {
    std::atomic<int> next{0};
    lnca::in_parallel(std::min(threads, rows), [&] {
        for (int row; (row = next++) < rows;) work(row);
    });
}

extern "C" {

// Allocates memory; null if there is not enough. A kernel may load numbers beyond the last one without using them.
void *page_take(int bytes) { return std::malloc(size_t(bytes) + 64); }
void page_free(void *pointer) { std::free(pointer); }

// Number of floats in a vector; widths are padded to its multiples.
int page_vector() { return portable::vector_size(); }
// Number of outputs of a convolution, padded to `wide`, that are computed together from output `first` on.
int page_panel(int wide, int first) { return portable::panel_size(wide, first); }

// A convolution of a picture; `added` is added to the outputs unless it is null. For the arguments see `LncaConvolution`.
void page_convolve(LncaConvolutionKind kind, LncaActivation activation, int inputs, int outputs, const float *weight,
                   const float *bias, float *from, int rows, int columns, float *added, float *to, int threads) {
    auto made = [&](int size) { return kind == LNCA_DOUBLING ? 2 * size : kind == LNCA_HALVING ? size / 2 : size; };
    LncaBand input{from, 0, rows, rows, columns};
    LncaBand output{to, 0, made(rows), made(rows), made(columns)}, beside = output;
    beside.values = added;
    LncaConvolution layer{inputs, outputs, kind, activation, weight, bias, nullptr, added ? &beside : nullptr};
    portable::convolve(layer, input, output, 1, threads);
}

// One step of a rule for all cells, in place. `maps` holds, for each of the six linear maps, the numbers of inputs and outputs and
// the addresses of weight and bias.
void page_step(LncaRuleKind kind, int channels, int input_channels, int embed, int heads, float epsilon, float attention_bias,
               const int32_t *maps, const float *gate, float *cells, int rows, int columns, int threads) {
    LncaRule rule{kind, channels, input_channels, embed, heads, epsilon, attention_bias, {}, gate};
    auto place = [](int32_t address) { return reinterpret_cast<const float *>(intptr_t(address)); };
    for (LncaMap &map : rule.maps) {
        map = {maps[0], maps[1], place(maps[2]), place(maps[3]), nullptr};
        maps += 4;
    }
    const uint32_t key = 0;  // The step updates all cells, so the key of the mask does not matter.
    LncaLattice lattice{};
    lattice.cells = cells, lattice.batch = 1, lattice.rows = rows, lattice.columns = columns;
    lattice.keys = &key, lattice.update_rate = 1, lattice.steps = 1, lattice.threads = threads;
    portable::run(rule, lattice);
}

// Each block of side x side positions becomes one of `rows` x `columns` positions, the channels in order of row, column, channel.
void page_gather(const float *from, int rows, int columns, int channels, int side, float *to, int threads) {
    size_t run = size_t(side) * channels;
    by_rows(threads, rows, [&](int row) {
        for (int part = 0; part < side; part++)
            for (int column = 0; column < columns; column++)
                std::memcpy(to + ((size_t(row) * columns + column) * side + part) * run,
                            from + ((size_t(row) * side + part) * columns + column) * run, sizeof(float) * run);
    });
}

// The inverse, added to a picture with `channels` channels whose positions are `apart` floats apart.
void page_scatter(const float *from, int rows, int columns, int channels, int side, float *to, int apart, int threads) {
    by_rows(threads, rows, [&](int row) {
        const float *block = from + size_t(row) * columns * side * side * channels;
        for (int column = 0; column < columns; column++)
            for (int part = 0; part < side * side; part++, block += channels) {
                size_t y = size_t(row) * side + part / side, x = size_t(column) * side + part % side;
                float *position = to + (y * columns * side + x) * apart;
                for (int c = 0; c < channels; c++) position[c] += block[c];
            }
    });
}

// Mean absolute difference of two pictures over all channels, for each of `rows` x `columns` blocks of side x side positions.
void page_change(const float *before, const float *after, int rows, int columns, int channels, int side, float *to,
                 int threads) {
    int run = side * channels;
    by_rows(threads, rows, [&](int row) {
        for (int column = 0; column < columns; column++) {
            float total = 0;
            for (int part = 0; part < side; part++) {
                size_t at = ((size_t(row) * side + part) * columns + column) * run;
                for (int i = 0; i < run; i++) total += std::fabs(after[at + i] - before[at + i]);
            }
            to[size_t(row) * columns + column] = total / float(side * run);
        }
    });
}

}  // extern "C"
