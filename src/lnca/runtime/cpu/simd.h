// Vectors of V floats, by the vector extensions of GCC and Clang, and the functions on them that the rules need.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace LNCA_ISA {

#if defined(__AVX512F__)
constexpr int V = 16;     // lanes of a vector
constexpr int CELLS = 8;  // cells in a matrix product; CELLS * 3 accumulators fit the registers
#elif defined(__AVX2__)
constexpr int V = 8;
constexpr int CELLS = 4;
#else
constexpr int V = 4;
constexpr int CELLS = 4;
#endif

typedef float vec __attribute__((vector_size(4 * V)));
typedef int32_t ivec __attribute__((vector_size(4 * V)));
struct __attribute__((packed, may_alias)) loose { vec value; };

constexpr int padded(int n) { return (n + V - 1) / V * V; }

inline vec load(const float *p) { return reinterpret_cast<const loose *>(p)->value; }
inline void store(float *p, vec x) { reinterpret_cast<loose *>(p)->value = x; }
inline vec all(float x) { return x - vec{}; }

// Calls use<I>() for I from 0 to COUNT - 1.
template <int COUNT, class Use> inline __attribute__((always_inline)) void unrolled(Use use) {
    [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
        (use.template operator()<I>(), ...);
    }(std::make_integer_sequence<int, COUNT>{});
}

// Selects lanes of x and y: lane i of the result is lane(i) of their concatenation. GCC has Clang's function since version 12.
template <class Lane, int... I>
inline __attribute__((always_inline)) vec shuffle(vec x, vec y, Lane lane, std::integer_sequence<int, I...>) {
#if __has_builtin(__builtin_shufflevector)
    return __builtin_shufflevector(x, y, lane(I)...);
#else
    return __builtin_shuffle(x, y, ivec{lane(I)...});
#endif
}
template <class Lane> inline __attribute__((always_inline)) vec shuffle(vec x, vec y, Lane lane) {
    return shuffle(x, y, lane, std::make_integer_sequence<int, V>{});
}

// x rotated by BY lanes.
template <int BY> inline __attribute__((always_inline)) vec rotate(vec x) {
    return shuffle(x, x, [](int i) { return (i + BY) % V; });
}

// Chunk number CHUNK, of COUNT lanes, repeated.
template <int COUNT, int CHUNK> inline __attribute__((always_inline)) vec spread(vec x) {
    return shuffle(x, x, [](int i) { return CHUNK * COUNT + i % COUNT; });
}

// A reduction over lanes: combines x with x rotated by BY lanes, then by half as many, down to LAST.
template <int BY, int LAST, class Both> inline __attribute__((always_inline)) vec fold(vec x, Both both) {
    if constexpr (BY && BY >= LAST) return fold<BY / 2, LAST>(both(x, rotate<BY>(x)), both);
    else return x;
}

// Adds lanes of COUNT vectors until one vector is left. Each round halves the number of vectors: the lanes of two are split into
// chunks of SIZE lanes, one for each cell, and the two halves of every chunk are added.
template <int COUNT, int SIZE> inline __attribute__((always_inline)) void halve(vec *x) {
    if constexpr (COUNT > 1) {
        auto low = [](int i) { return i / (SIZE / 2) * SIZE + i % (SIZE / 2); };
        auto high = [](int i) { return i / (SIZE / 2) * SIZE + i % (SIZE / 2) + SIZE / 2; };
#pragma GCC unroll 8
        for (int i = 0; i < COUNT / 2; i++) x[i] = shuffle(x[2 * i], x[2 * i + 1], low) + shuffle(x[2 * i], x[2 * i + 1], high);
        halve<COUNT / 2, SIZE / 2>(x);
    }
}

inline vec add(vec a, vec b) { return a + b; }
inline vec maximum(vec a, vec b) { return a > b ? a : b; }
inline vec minimum(vec a, vec b) { return a < b ? a : b; }

// The sums over the lanes of each of CELLS vectors, in a fixed order; the sum of cell m is in lane m * SPREAD.
constexpr int SPREAD = V / CELLS;
inline __attribute__((always_inline)) vec sums(vec (&x)[CELLS]) {
    halve<CELLS, V>(x);
    return fold<SPREAD / 2, 1>(x[0], add);
}

inline vec square_root(vec x) {
#if defined(__AVX512F__)
    return (vec)_mm512_sqrt_ps((__m512)x);
#else
    for (int i = 0; i < V; i++) x[i] = std::sqrt(x[i]);
    return x;
#endif
}
// 1 / x, by an approximation and a Newton step with AVX-512, where division is slow.
inline vec reciprocal(vec x) {
#if defined(__AVX512F__)
    vec close = (vec)_mm512_rcp14_ps((__m512)x);
    return close * (2.0f - x * close);
#else
    return 1.0f / x;
#endif
}

// e^x for x <= 88; relative error below 2e-7. Range reduction to |r| <= ln 2 / 2 and a polynomial (Cephes expf).
inline __attribute__((always_inline)) vec exponential(vec x) {
    x = maximum(x, all(-87.0f));
    vec rounded = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    vec r = x - rounded * 0.693359375f + rounded * 2.12194440e-4f;
    vec p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ivec exponent = (__builtin_convertvector(rounded, ivec) + 127) << 23;
    vec scale;
    std::memcpy(&scale, &exponent, sizeof scale);
    return p * scale;
}

// Exact GELU, x Phi(x). The error function is a quotient of polynomials, as in Eigen and XLA, with absolute error below 5e-7.
inline vec gelu(vec x) {
    vec z = minimum(maximum(x * 0.70710678f, all(-4.0f)), all(4.0f)), square = z * z;
    vec p = all(-2.72614225801306e-10f);
    p = p * square + 2.77068142495902e-08f;
    p = p * square - 2.10102402082508e-06f;
    p = p * square - 5.69250639462346e-05f;
    p = p * square - 7.34990630326855e-04f;
    p = p * square - 2.95459980854025e-03f;
    p = p * square - 1.60960333262415e-02f;
    vec q = all(-1.45660718464996e-05f);
    q = q * square - 2.13374055278905e-04f;
    q = q * square - 1.68282697438203e-03f;
    q = q * square - 7.37332916720468e-03f;
    q = q * square - 1.42647390514189e-02f;
    return 0.5f * x * (1.0f + z * p * reciprocal(q));
}

// Two successive vectors.
struct Two {
    vec low, high;
};
inline Two operator+(Two a, Two b) { return {a.low + b.low, a.high + b.high}; }
inline Two operator*(Two a, Two b) { return {a.low * b.low, a.high * b.high}; }
inline Two operator+(Two a, float b) { return {a.low + b, a.high + b}; }
inline Two operator*(Two a, float b) { return {a.low * b, a.high * b}; }
inline Two gelu(Two x) { return {gelu(x.low), gelu(x.high)}; }
inline void store(float *p, Two x) { store(p, x.low), store(p + V, x.high); }

// Loads a vector or two.
template <class T> inline T load_as(const float *p);
template <> inline vec load_as<vec>(const float *p) { return load(p); }
template <> inline Two load_as<Two>(const float *p) { return {load(p), load(p + V)}; }

#if defined(__AVX512BF16__)
typedef uint16_t half;  // bfloat16
inline void store(half *p, vec x) {
    __m256i packed = (__m256i)_mm512_cvtneps_pbh((__m512)x);
    std::memcpy(p, &packed, sizeof packed);
}
inline void store(half *p, Two x) {
    __m512i packed = (__m512i)_mm512_cvtne2ps_pbh((__m512)x.high, (__m512)x.low);
    std::memcpy(p, &packed, sizeof packed);
}
#endif

}  // namespace LNCA_ISA
