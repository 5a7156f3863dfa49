// The threads of the page: Web Workers, each with its own instance of the module and its own stack, and shared memory. If the page
// may not share memory (compiled without `-matomics`), there are no threads.
#include "threads.h"

#if defined(__wasm_atomics__)
#include <atomic>
#include <cstdint>

namespace {

// One call at a time, from the page's worker. `state` holds two numbers: helpers that may still join, and helpers that have joined
// and not finished (in units of ONE_RUNNING). The work changes only while both are 0.
constexpr int32_t ONE_RUNNING = 1 << 16, PLACES = ONE_RUNNING - 1;
std::atomic<int32_t> state{0}, posted{0};
void (*the_work)(void *) noexcept;
void *the_data;

// Sleeps while `number` equals `seen`.
void wait(std::atomic<int32_t> &number, int32_t seen) {
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t *>(&number), seen, -1);
}
void wake(std::atomic<int32_t> &number, int count) {
    __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t *>(&number), count);
}

bool take_place() {
    int32_t now = state;
    while (now & PLACES)
        if (state.compare_exchange_weak(now, now - 1 + ONE_RUNNING)) return true;
    return false;
}

}  // namespace

// The endless loop of a helper. It reads `posted` before it tries to join, so that it misses no call.
extern "C" void page_help() {
    for (;;) {
        int32_t seen = posted;
        if (!take_place()) {
            wait(posted, seen);
            continue;
        }
        the_work(the_data);
        if ((state -= ONE_RUNNING) == 0) wake(state, 1);
    }
}

void lnca::in_parallel(int threads, void (*work)(void *) noexcept, void *data) {
    if (threads <= 1) return work(data);
    the_work = work, the_data = data;
    state = threads - 1;
    posted++;
    wake(posted, threads - 1);
    work(data);
    // All work has been taken; no further helpers need to join.
    state &= ~PLACES;
    for (int32_t now; (now = state) != 0;) wait(state, now);
}

#elif defined(__wasm__)
void lnca::in_parallel(int, void (*work)(void *) noexcept, void *data) { work(data); }
#endif
