// Steps of a rule over a lattice of cells, for one instruction set (LNCA_ISA); compiled once for each.
//
// The second pass of a row needs the first pass of the rows above and below, so the first pass runs one row ahead, and its results
// are kept for three rows. If there are enough lattices, a thread takes a whole one with all its steps. Otherwise all threads work
// on one step at a time, on bands of rows, in place, after the rows at the edges of the bands were copied. The arithmetic of a cell
// is always the same, so the result does not depend on threads, bands or batch.
#include <algorithm>
#include <atomic>
#include <vector>
#include "convolve.h"
#include "threads.h"
#include "vitca.h"
#include "winograd.h"

namespace LNCA_ISA {

using lnca::in_parallel;

static uint32_t pcg(uint32_t value) {
    uint32_t state = value * 747796405u + 2891336453u;
    uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
    return (word >> 22) ^ word;
}

// The unsettled cells of one lattice: those that a step updates because they or a neighbour changed in their last update. `now` is
// null if all cells are updated. Threads that share a lattice may mark the same cell at the same time.
struct Unsettled {
    uint8_t *now, *next;
    int32_t *taken;
    int64_t rows, columns;

    Unsettled(const LncaLattice &lattice, int64_t image, int step)
        : now(lattice.unsettled), next(lattice.spare), taken(lattice.taken), rows(lattice.rows), columns(lattice.columns) {
        if (!now) return;
        if (step % 2) std::swap(now, next);
        now += image * rows * columns, next += image * rows * columns, taken += image * rows * columns;
    }
    void clear(int64_t from, int64_t to) const {
        if (now) std::memset(next + from * columns, 0, (to - from) * columns);
    }
    bool any(int64_t row, int64_t from, int64_t to) const {
        from = std::max<int64_t>(from, 0), to = std::min(to, columns);
        return row >= 0 && row < rows && std::memchr(now + row * columns + from, 1, to - from);
    }
    // Whether the first pass of cells [from, to) is needed, by themselves or by their neighbours.
    bool wanted(int64_t row, int64_t from, int64_t to) const {
        return !now || any(row - 1, from - 1, to + 1) || any(row, from - 1, to + 1) || any(row + 1, from - 1, to + 1);
    }
    void mark(int64_t row, int64_t column) const { __atomic_store_n(next + row * columns + column, 1, __ATOMIC_RELAXED); }
    void changed(int64_t row, int64_t column) const {
        for (int64_t r = std::max<int64_t>(row - 1, 0); r < std::min(row + 2, rows); r++)
            for (int64_t c = std::max<int64_t>(column - 1, 0); c < std::min(column + 2, columns); c++) mark(r, c);
    }
};

// The buffers of one thread for the results of the first pass of three rows. The shared values have a cell of zeros on both sides,
// and a fourth row of zeros stands for the rows above and below the lattice.
template <class Rule, class T> struct Rows {
    static constexpr int block = BLOCK<T>;
    Rule rule;
    LncaLattice lattice;
    int64_t columns = (lattice.columns + block - 1) / block * block;
    std::vector<T> gated = std::vector<T>(3 * columns * rule.gated_size() + 64);
    std::vector<float> shared = std::vector<float>(4 * (columns + 2) * rule.shared_floats() + 64);
    std::vector<int> which = std::vector<int>(columns);

    template <class U> static U *aligned(std::vector<U> &v) {
        return reinterpret_cast<U *>((reinterpret_cast<uintptr_t>(v.data()) + 63) & ~uintptr_t(63));
    }
    T *gated_row(int64_t row) { return aligned(gated) + (row + 3) % 3 * columns * rule.gated_size(); }
    float *shared_row(int64_t row) {
        int64_t place = row < 0 || row >= lattice.rows ? 3 : row % 3;
        return aligned(shared) + (place * (columns + 2) + 1) * rule.shared_floats();
    }

    void first(const float *cells, int64_t row, const Unsettled &unsettled) {  // `cells` of that row
        const float *position = lattice.position ? lattice.position + row * lattice.columns * position_floats() : nullptr;
        for (int64_t column = 0; column < lattice.columns; column += block) {
            if (!unsettled.wanted(row, column, column + block)) continue;
            rule.first(cells + column * rule.rule.channels,
                       position ? position + column * position_floats() : nullptr,
                       gated_row(row) + column * rule.gated_size(), shared_row(row) + column * rule.shared_floats(),
                       std::min<int64_t>(block, lattice.columns - column));
        }
        // The last block may have written beyond the row.
        float *end = shared_row(row) + lattice.columns * rule.shared_floats();
        std::fill(end, end + rule.shared_floats(), 0.0f);
    }
    int64_t position_floats() const { return rule.rule.maps[0].outputs; }

    // Lists in `which` the columns of a row that a step updates; returns their number.
    int chosen(int64_t row, int step, const Unsettled &unsettled) {
        int count = 0;
        uint32_t key = pcg(pcg(lattice.keys[step]) + uint32_t(row + lattice.first_row));
        for (int64_t column = 0; column < lattice.columns; column++) {
            if (unsettled.now && !unsettled.now[row * lattice.columns + column]) continue;
            bool takes_part = lattice.update_rate >= 1 ||
                              pcg(key + uint32_t(column + lattice.first_column)) * (1.0 / 4294967296.0) < lattice.update_rate;
            if (takes_part) which[count++] = column;
            else if (unsettled.now) unsettled.mark(row, column);
        }
        return count;
    }

    // One step of rows [from, to) of one lattice, in place; `above` and `below` are the rows next to them before the step.
    void step(float *cells, int64_t from, int64_t to, const float *above, const float *below, int number,
              const Unsettled &unsettled) {
        int64_t row_size = lattice.columns * rule.rule.channels;
        if (from > 0) first(above, from - 1, unsettled);
        first(cells + from * row_size, from, unsettled);
        for (int64_t row = from; row < to; row++) {
            if (row + 1 < lattice.rows) first(row + 1 < to ? cells + (row + 1) * row_size : below, row + 1, unsettled);
            const float *rows[3] = {shared_row(row - 1), shared_row(row), shared_row(row + 1)};
            int count = chosen(row, number, unsettled);
            for (int at = 0; at < count; at += block) {
                float change[block];
                const int *group = which.data() + at;
                int members = std::min(block, count - at);
                rule.second(cells + row * row_size, gated_row(row), rows, group, members, unsettled.now ? change : nullptr);
                for (int m = 0; unsettled.now && m < members; m++) {
                    unsettled.taken[row * lattice.columns + group[m]]++;
                    if (!(change[m] <= lattice.tolerance)) unsettled.changed(row, group[m]);
                }
            }
        }
    }
};

template <class Rule, class T> void run_rule(const LncaRule &description, const LncaLattice &lattice) {
    const Rule rule{description};
    int64_t row_size = lattice.columns * description.channels, size = lattice.rows * row_size;
    int threads = std::max(1, lattice.threads);
    bool whole = lattice.batch >= threads;
    int64_t bands = std::min<int64_t>(lattice.rows, 4 * threads);
    std::vector<float> edges(whole ? 0 : 2 * bands * lattice.batch * row_size);  // first and last row of each band
    auto first_row = [&](int64_t band) { return lattice.rows * band / bands; };
    int wanted = whole ? int(std::min<int64_t>(threads, lattice.batch)) : threads;
    std::vector<Rows<Rule, T>> rows;
    for (int i = 0; i < wanted; i++) rows.push_back(Rows<Rule, T>{rule, lattice});
    // Distributes parts 0, 1, ..., count - 1 over the threads.
    auto share = [&](int64_t count, auto part) {
        std::atomic<int64_t> next{0};
        std::atomic<int> thread{0};
        in_parallel(wanted, [&] {
            const Preparation<T> prepared;
            auto &mine = rows[thread++];
            for (int64_t i; (i = next++) < count;) part(mine, i);
        });
    };
    if (whole) {
        share(lattice.batch, [&](Rows<Rule, T> &mine, int64_t image) {
            for (int step = 0; step < lattice.steps; step++) {
                Unsettled unsettled(lattice, image, step);
                unsettled.clear(0, lattice.rows);
                mine.step(lattice.cells + image * size, 0, lattice.rows, nullptr, nullptr, step, unsettled);
            }
        });
        return;
    }
    for (int step = 0; step < lattice.steps; step++) {
        share(bands * lattice.batch, [&](Rows<Rule, T> &, int64_t part) {
            const float *cells = lattice.cells + part / bands * size;
            Unsettled(lattice, part / bands, step).clear(first_row(part % bands), first_row(part % bands + 1));
            int64_t ends[2] = {first_row(part % bands), first_row(part % bands + 1) - 1};
            for (int i = 0; i < 2; i++)
                std::memcpy(&edges[(2 * part + i) * row_size], cells + ends[i] * row_size, sizeof(float) * row_size);
        });
        share(bands * lattice.batch, [&](Rows<Rule, T> &mine, int64_t part) {
            const float *edge = edges.data() + 2 * part * row_size;
            mine.step(lattice.cells + part / bands * size, first_row(part % bands), first_row(part % bands + 1),
                      edge - row_size, edge + 2 * row_size, step, Unsettled(lattice, part / bands, step));
        });
    }
}

void run(const LncaRule &rule, const LncaLattice &lattice) {
#if defined(__AVX512BF16__)
    if (lattice.bfloat16) {
        if (rule.kind == LNCA_VITCA) run_rule<Vitca<half>, half>(rule, lattice);
        else run_rule<Nafca<half>, half>(rule, lattice);
        return;
    }
#endif
    if (rule.kind == LNCA_VITCA) run_rule<Vitca<float>, float>(rule, lattice);
    else run_rule<Nafca<float>, float>(rule, lattice);
}

#if defined(__AMX_BF16__)
// Each thread takes a strip of several rows at a time, so that few rows are converted to bfloat16 twice.
static void convolve_strips(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t batch,
                            int threads) {
    constexpr int64_t STRIP = 8;
    int64_t strips = (output.rows + STRIP - 1) / STRIP;
    threads = int(std::min<int64_t>(threads, batch * strips));
    std::vector<std::vector<half>> buffers(threads, std::vector<half>(3 * row_pitch(layer, input)));
    std::atomic<int64_t> next{0};
    std::atomic<int> thread{0};
    in_parallel(threads, [&] {
        const Preparation<half> prepared;
        half *buffer = buffers[thread++].data();
        for (int64_t part; (part = next++) < batch * strips;) {
            int64_t row = part % strips * STRIP;
            convolve_rows(layer, input, output, part / strips, row, std::min(row + STRIP, output.rows), buffer);
        }
    });
}
#endif

// Each thread takes two rows at a time.
static void convolve_squares(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t batch,
                             int threads) {
    int64_t first = output.first / 2, pairs = (output.first + output.rows + 1) / 2 - first;
    threads = int(std::min<int64_t>(threads, batch * pairs));
    std::vector<std::vector<float>> buffers(threads, std::vector<float>(winograd_buffer_floats(layer)));
    std::atomic<int64_t> next{0};
    std::atomic<int> thread{0};
    in_parallel(threads, [&] {
        float *buffer = buffers[thread++].data();
        for (int64_t part; (part = next++) < batch * pairs;)
            winograd_rows(layer, input, output, part / pairs, 2 * (first + part % pairs), buffer);
    });
}

void convolve(const LncaConvolution &layer, const LncaBand &input, const LncaBand &output, int64_t batch, int threads) {
#if defined(__AMX_BF16__)
    if (layer.tiles) return convolve_strips(layer, input, output, batch, threads);
#endif
    if (layer.kind == LNCA_WINOGRAD) return convolve_squares(layer, input, output, batch, threads);
    int64_t parts = batch * output.rows;
    std::atomic<int64_t> next{0};
    in_parallel(int(std::min<int64_t>(threads, parts)), [&] {
        for (int64_t part; (part = next++) < parts;)
            convolve_row(layer, input, output, part / output.rows, part % output.rows);
    });
}

// Multiplies and adds in registers only, `rounds` times, to measure the peak performance of a core. Returns the number of
// operations.
double multiply_add(int64_t rounds, int bfloat16) {
#if defined(__AMX_BF16__)
    if (bfloat16) return multiply_tiles(rounds);
#endif
    constexpr int CHAINS = V == 16 ? 24 : 12;
    volatile float start = 0.5f;
    vec sums[CHAINS], a = all(start), b = all(start);
    for (auto &sum : sums) sum = a;
    for (int64_t i = 0; i < rounds; i++) {
#pragma GCC unroll 24
        for (int c = 0; c < CHAINS; c++)
#if defined(__AVX512BF16__)
            if (bfloat16) sums[c] = (vec)_mm512_dpbf16_ps((__m512)sums[c], (__m512bh)a, (__m512bh)b);
            else
#endif
                sums[c] = sums[c] * a + b;
    }
    vec total{};
    for (auto &sum : sums) total += sum;
    start = total[0];
    return double(rounds) * CHAINS * V * (bfloat16 ? 4 : 2);
}

int vector_size() { return V; }
int panel_size(int wide, int first) { return panel(wide, first) * V; }
int largest() { return MAX_CHANNELS; }

}  // namespace LNCA_ISA
