// Fourier transforms for the page: of all rows or of all columns of a picture, several lines at a time, one in each lane of the
// vectors. Mixed radices and any length; each pass sorts as it goes (Stockham; Van Loan, "Computational frameworks for the fast
// Fourier transform", 1992, section 1.7). All are unitary, as src/lnca/runtime/fourier.py has them.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>
#include "threads.h"

namespace {

constexpr int LANES = 4, LINES = 16;  // floats of a vector, and lines that are transformed together

typedef float vec __attribute__((vector_size(4 * LANES)));
vec load(const float *p) { return *reinterpret_cast<const vec *>(p); }
void store(float *p, vec x) { *reinterpret_cast<vec *>(p) = x; }

struct Complex {
    vec re, im;
};
Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }

// LINES lines beside each other: number i of line j is at i * LINES + j.
struct Lines {
    float *re, *im;

    Complex at(size_t place) const { return {load(re + place), load(im + place)}; }
    void put(size_t place, Complex x) const { store(re + place, x.re), store(im + place, x.im); }
    // Inverse transforms are those of real and imaginary parts that have changed places.
    Lines swapped() const { return {im, re}; }
};

// exp(-2 pi i k / length), as pairs.
struct Roots {
    int length;
    const float *pairs;

    Complex times(int k, Complex x) const {
        float re = pairs[2 * k], im = pairs[2 * k + 1];
        return {re * x.re - im * x.im, re * x.im + im * x.re};
    }
};

// The transform of `RADIX` numbers; that of an odd one by sums and differences of those that lie opposite.
template <int RADIX> struct Butterfly {
    float re[RADIX], im[RADIX];

    explicit Butterfly(const Roots &roots) {
        for (int k = 0; k < RADIX; k++) {
            re[k] = roots.pairs[2 * (roots.length / RADIX) * k];
            im[k] = roots.pairs[2 * (roots.length / RADIX) * k + 1];
        }
    }

    void operator()(Complex (&x)[RADIX]) const {
        constexpr int HALF = RADIX / 2;
        Complex sum[HALF], difference[HALF], first = x[0];
        for (int j = 0; j < HALF; j++) {
            sum[j] = x[j + 1] + x[RADIX - 1 - j], difference[j] = x[j + 1] - x[RADIX - 1 - j];
            x[0] = x[0] + sum[j];
        }
        for (int k = 1; k <= HALF; k++) {
            Complex even = first, odd{};
            for (int j = 0; j < HALF; j++) {
                int root = (j + 1) * k % RADIX;
                even.re += re[root] * sum[j].re, even.im += re[root] * sum[j].im;
                odd.re -= im[root] * difference[j].im, odd.im += im[root] * difference[j].re;
            }
            x[k] = even + odd, x[RADIX - k] = even - odd;
        }
    }
};

template <> struct Butterfly<2> {
    explicit Butterfly(const Roots &) {}
    void operator()(Complex (&x)[2]) const {
        Complex first = x[0];
        x[0] = first + x[1], x[1] = first - x[1];
    }
};

template <> struct Butterfly<4> {
    explicit Butterfly(const Roots &) {}
    void operator()(Complex (&x)[4]) const {
        Complex even = x[0] + x[2], odd = x[0] - x[2], sum = x[1] + x[3], difference = x[1] - x[3];
        Complex turned{difference.im, -difference.re};
        x[0] = even + sum, x[1] = odd + turned, x[2] = even - sum, x[3] = odd - turned;
    }
};

// A pass over lines of RADIX * rest * done numbers, of which parts of `done` are transformed.
template <int RADIX> void pass(const Roots &roots, int rest, int done, Lines from, Lines to) {
    const Butterfly<RADIX> butterfly(roots);
    const size_t run = size_t(done) * LINES;
    for (int part = 0; part < rest; part++) {
        for (size_t place = 0; place < run; place += LANES) {
            Complex x[RADIX];
            for (int j = 0; j < RADIX; j++) x[j] = from.at(run * (part + size_t(j) * rest) + place);
            butterfly(x);
            size_t target = run * RADIX * part + place;
            to.put(target, x[0]);
            for (int k = 1; k < RADIX; k++) to.put(target + run * k, roots.times(part * k * done, x[k]));
        }
    }
}

// The same of any radix, which takes its square of multiplications.
void slow_pass(const Roots &roots, int radix, int rest, int done, Lines from, Lines to) {
    const size_t run = size_t(done) * LINES;
    for (int part = 0; part < rest; part++)
        for (int k = 0; k < radix; k++)
            for (size_t place = 0; place < run; place += LANES) {
                Complex x{};
                for (int j = 0; j < radix; j++) {
                    int root = int(int64_t(j) * k % radix) * (roots.length / radix);
                    x = x + roots.times(root, from.at(run * (part + size_t(j) * rest) + place));
                }
                to.put(run * (size_t(radix) * part + k) + place, roots.times(part * k * done, x));
            }
}

int radix_of(int rest) {
    for (int radix : {4, 2, 3, 5, 7, 11})
        if (rest % radix == 0) return radix;
    for (int radix = 13; radix * radix <= rest; radix += 2)
        if (rest % radix == 0) return radix;
    return rest;
}

// Transforms lines, and uses other ones besides; which of the two it ends in.
Lines transformed(const Roots &roots, Lines lines, Lines other) {
    for (int done = 1; done < roots.length;) {
        int radix = radix_of(roots.length / done), rest = roots.length / done / radix;
        switch (radix) {
            case 2: pass<2>(roots, rest, done, lines, other); break;
            case 3: pass<3>(roots, rest, done, lines, other); break;
            case 4: pass<4>(roots, rest, done, lines, other); break;
            case 5: pass<5>(roots, rest, done, lines, other); break;
            case 7: pass<7>(roots, rest, done, lines, other); break;
            case 11: pass<11>(roots, rest, done, lines, other); break;
            default: slow_pass(roots, radix, rest, done, lines, other);
        }
        std::swap(lines, other);
        done *= radix;
    }
    return lines;
}

// Calls work(first, lines, other) for each `step` of `count` rows or columns, with room for two times LINES lines.
template <class Work> void in_bands(int threads, int count, int step, int length, Work work) {
    const size_t size = size_t(length) * LINES;
    threads = std::min(threads, (count + step - 1) / step);
    std::vector<float> room(4 * size * threads + 16);
    float *aligned = room.data() + (-reinterpret_cast<uintptr_t>(room.data()) % 64) / sizeof(float);
    std::atomic<int> next{0}, taken{0};
    lnca::in_parallel(threads, [&] {
        float *own = aligned + 4 * size * taken++;
        Lines lines{own, own + size}, other{own + 2 * size, own + 3 * size};
        for (int first; (first = step * next++) < count;) work(first, lines, other);
    });
}

}  // namespace

extern "C" {

// Spectra (rows, columns / 2 + 1) of the rows of a picture; two rows are the parts of a complex one. `roots` is as long as a row.
void page_fourier_rows(const float *picture, int rows, int columns, float *re, float *im, const float *roots, int threads) {
    const int half = columns / 2 + 1;
    const float scale = 0.5f / std::sqrt(float(columns));
    in_bands(threads, rows, 2 * LINES, columns, [&](int first, Lines lines, Lines other) {
        for (int line = 0; line < LINES; line++) {
            // Those beyond the last row are not used.
            const float *even = picture + size_t(columns) * std::min(first + 2 * line, rows - 1);
            const float *odd = picture + size_t(columns) * std::min(first + 2 * line + 1, rows - 1);
            for (int x = 0; x < columns; x++) lines.re[x * LINES + line] = even[x], lines.im[x * LINES + line] = odd[x];
        }
        Lines found = transformed({columns, roots}, lines, other);
        for (int row = first; row < std::min(first + 2 * LINES, rows); row++) {
            bool odd = (row - first) % 2;
            const float *own = odd ? found.im : found.re, *beside = odd ? found.re : found.im;
            float sign = odd ? -scale : scale;
            for (int k = 0; k < half; k++) {
                int here = k * LINES + (row - first) / 2, there = (k ? columns - k : 0) * LINES + (row - first) / 2;
                re[size_t(row) * half + k] = scale * (own[here] + own[there]);
                im[size_t(row) * half + k] = sign * (beside[here] - beside[there]);
            }
        }
    });
}

// The inverse.
void page_fourier_rows_back(const float *re, const float *im, int rows, int columns, float *picture, const float *roots,
                            int threads) {
    const int half = columns / 2 + 1;
    const float scale = 1 / std::sqrt(float(columns));
    in_bands(threads, rows, 2 * LINES, columns, [&](int first, Lines lines, Lines other) {
        for (int line = 0; line < LINES; line++) {
            const size_t even = size_t(half) * std::min(first + 2 * line, rows - 1);
            const size_t odd = size_t(half) * std::min(first + 2 * line + 1, rows - 1);
            for (int k = 0; k < half; k++) {
                // Those numbers are real.
                bool real = k == 0 || 2 * k == columns;
                float a = real ? 0 : im[even + k], b = real ? 0 : im[odd + k];
                int here = k * LINES + line, there = (k ? columns - k : 0) * LINES + line;
                lines.re[there] = re[even + k] + b, lines.im[there] = re[odd + k] - a;
                lines.re[here] = re[even + k] - b, lines.im[here] = re[odd + k] + a;
            }
        }
        Lines found = transformed({columns, roots}, lines.swapped(), other).swapped();
        for (int row = first; row < std::min(first + 2 * LINES, rows); row++) {
            const float *own = ((row - first) % 2 ? found.im : found.re) + (row - first) / 2;
            for (int x = 0; x < columns; x++) picture[size_t(row) * columns + x] = scale * own[x * LINES];
        }
    });
}

// Transforms columns in place; with `re` and `im` in each other's place, back. `roots` is as long as a column.
void page_fourier_columns(float *re, float *im, int rows, int columns, const float *roots, int threads) {
    const float scale = 1 / std::sqrt(float(rows));
    in_bands(threads, columns, LINES, rows, [&](int first, Lines lines, Lines other) {
        const int count = std::min(LINES, columns - first);
        for (int row = 0; row < rows; row++)
            for (int line = 0; line < LINES; line++) {
                const size_t from = size_t(row) * columns + first + std::min(line, count - 1);
                lines.re[row * LINES + line] = re[from], lines.im[row * LINES + line] = im[from];
            }
        Lines found = transformed({rows, roots}, lines, other);
        for (int row = 0; row < rows; row++)
            for (int line = 0; line < count; line++) {
                const size_t to = size_t(row) * columns + first + line;
                re[to] = scale * found.re[row * LINES + line], im[to] = scale * found.im[row * LINES + line];
            }
    });
}

}  // extern "C"
