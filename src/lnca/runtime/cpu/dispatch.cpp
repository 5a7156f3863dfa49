// The exported functions of the library: the available instruction sets, and the calls for a rule and for a convolution.
#include <exception>
#include "plan.h"
#if defined(LNCA_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define DECLARE(isa)                                       \
    namespace isa {                                        \
    void run(const LncaRule &, const LncaLattice &);       \
    void convolve(const LncaConvolution &, const LncaBand &, const LncaBand &, int64_t, int); \
    double multiply_add(int64_t, int);                     \
    int vector_size();                                     \
    int panel_size(int, int);                              \
    int largest();                                         \
    }

DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
DECLARE(avx512bf16)
#endif
#if defined(LNCA_AMX)
DECLARE(amx)
#endif

// Calls the function that was compiled for an instruction set.
#if defined(LNCA_AMX)
#define WITH(level, call) (level == 4 ? amx::call : WITHOUT_AMX(level, call))
#else
#define WITH(level, call) WITHOUT_AMX(level, call)
#endif
#if defined(__x86_64__)
#define WITHOUT_AMX(level, call) \
    (level == 3 ? avx512bf16::call : level == 2 ? avx512::call : level == 1 ? avx2::call : portable::call)
#else
#define WITHOUT_AMX(level, call) portable::call
#endif

// Whether the CPU has AMX with bfloat16, and the operating system grants its registers to this process, which must ask for them.
static bool amx_granted() {
#if defined(LNCA_AMX)
    unsigned a, b, c, d;
    constexpr unsigned bfloat16 = 1u << 22, tiles = 1u << 24;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & bfloat16) || !(d & tiles)) return false;
    constexpr int ask_for_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, ask_for_permission, tile_data) == 0;
#else
    return false;
#endif
}

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

template <class Work> static int attempted(Work work) {
    try {
        work();
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

extern "C" {

// The best instruction set on this CPU: 0 portable, 1 AVX2 and FMA, 2 AVX-512, 3 AVX-512 with bfloat16, 4 AMX in addition.
EXPORTED int lnca_best() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
        if (!__builtin_cpu_supports("avx512bf16")) return 2;
        static const bool amx = amx_granted();
        return amx ? 4 : 3;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

// The best instruction set that this library was compiled for.
EXPORTED int lnca_compiled() {
#if defined(LNCA_AMX)
    return 4;
#elif defined(__x86_64__)
    return 3;
#else
    return 0;
#endif
}

// Writes `LAYOUT` and the size in bytes of each structure, by which Python recognises a library of another version.
EXPORTED void lnca_layout(int64_t *layout) {
    const int64_t own[] = {LAYOUT,           sizeof(LncaMap), sizeof(LncaRule), sizeof(LncaConvolution),
                           sizeof(LncaBand), sizeof(LncaLattice)};
    for (const int64_t number : own) *layout++ = number;
}

EXPORTED int lnca_vector_size(int level) { return WITH(level, vector_size()); }
// The number of outputs of a convolution, padded to `wide`, that are computed together from output `first` on.
EXPORTED int lnca_panel_size(int level, int wide, int first) { return WITH(level, panel_size(wide, first)); }
EXPORTED double lnca_multiply_add(int level, int64_t rounds, int bfloat16) { return WITH(level, multiply_add(rounds, bfloat16)); }
EXPORTED int lnca_largest() { return portable::largest(); }

// Both return 0, or 1 if there is not enough memory.

EXPORTED int lnca_run(int level, const LncaRule *rule, const LncaLattice *lattice) {
    return attempted([&] { WITH(level, run(*rule, *lattice)); });
}

EXPORTED int lnca_convolve(int level, const LncaConvolution *layer, const LncaBand *input, const LncaBand *output, int64_t batch,
                  int threads) {
    return attempted([&] { WITH(level, convolve(*layer, *input, *output, batch, threads)); });
}

}
