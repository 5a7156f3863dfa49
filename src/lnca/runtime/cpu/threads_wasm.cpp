// The threads of the page: Web Workers with an instance each of the module, its memory shared, and a stack of their own. In a page
// that may not share memory (no `-matomics`) there are none.
#include "threads.h"

#if defined(__wasm_atomics__)
#include <atomic>
#include <cstdint>

namespace {

// One piece of work at a time, that of the page's worker. `state` holds the places for helpers that have not come yet, and how many
// have come and not ended; the work changes only while both are 0.
constexpr int32_t ONE_RUNNING = 1 << 16, PLACES = ONE_RUNNING - 1;
std::atomic<int32_t> state{0}, posted{0};
void (*the_work)(void *) noexcept;
void *the_data;

// Sleeps until the number is another one than `seen`.
void wait(std::atomic<int32_t> &number, int32_t seen) {
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int32_t *>(&number), seen, -1);
}
void wake(std::atomic<int32_t> &number, int most) {
    __builtin_wasm_memory_atomic_notify(reinterpret_cast<int32_t *>(&number), most);
}

bool take_place() {
    int32_t now = state;
    while (now & PLACES)
        if (state.compare_exchange_weak(now, now - 1 + ONE_RUNNING)) return true;
    return false;
}

}  // namespace

// What a helper does for ever. It looks for a place after it has read the count of posts, so that it misses none.
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
    // Nothing is left to do for those that have not come.
    state &= ~PLACES;
    for (int32_t now; (now = state) != 0;) wait(state, now);
}

#elif defined(__wasm__)
void lnca::in_parallel(int, void (*work)(void *) noexcept, void *data) { work(data); }
#endif
