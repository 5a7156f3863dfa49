// The thread pool of the library. Threads start when they are first needed, sleep between calls, and never end.
#include "threads.h"
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <vector>
#if defined(_WIN32)
#include <system_error>
#include <thread>
#else
#include <pthread.h>
#endif

namespace {

// A call of `in_parallel`, on its caller's stack.
struct Job {
    void (*work)(void *) noexcept;
    void *data;
    int places;       // number of further threads that may join
    int running = 0;  // threads that have joined and not finished
    std::condition_variable ended;
};

struct Pool {
    std::mutex mutex;
    std::condition_variable wanted;
    std::vector<Job *> jobs;  // jobs that further threads may join
    int threads = 0;

    void serve();
    void call(int others, void (*work)(void *) noexcept, void *data);
};

// Never destroyed, because its threads may run until the process has ended. A forked process has no threads, and gets a new pool.
Pool *pool = new Pool;

#if defined(_WIN32)
bool start() {
    try {
        std::thread([] { pool->serve(); }).detach();
        return true;
    } catch (const std::system_error &) {
        return false;  // The system has no more threads.
    }
}
#else
// Stack size in bytes, enough for the blocks of the widest kernels; the 128 KiB of musl are not.
constexpr size_t STACK = 1 << 20;

bool start() {
    static const int watching = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
    (void)watching;
    pthread_attr_t how;
    if (pthread_attr_init(&how)) return false;
    pthread_t thread;
    auto body = [](void *mine) -> void * {
        static_cast<Pool *>(mine)->serve();
        return nullptr;
    };
    bool started = !pthread_attr_setstacksize(&how, STACK) &&
                   !pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED) && !pthread_create(&thread, &how, body, pool);
    pthread_attr_destroy(&how);
    return started;
}
#endif

void Pool::serve() {
    std::unique_lock lock(mutex);
    for (;;) {
        wanted.wait(lock, [&] { return !jobs.empty(); });
        Job *job = jobs.front();
        job->running++;
        if (!--job->places) jobs.erase(jobs.begin());
        lock.unlock();
        job->work(job->data);
        lock.lock();
        if (!--job->running) job->ended.notify_one();
    }
}

void Pool::call(int others, void (*work)(void *) noexcept, void *data) {
    Job job{work, data, others};
    {
        std::lock_guard lock(mutex);
        while (threads < others && start()) threads++;
        jobs.push_back(&job);
    }
    for (int i = 0; i < others; i++) wanted.notify_one();
    work(data);
    std::unique_lock lock(mutex);
    // All work has been taken; no further threads need to join.
    jobs.erase(std::remove(jobs.begin(), jobs.end(), &job), jobs.end());
    job.ended.wait(lock, [&] { return !job.running; });
}

}  // namespace

void lnca::in_parallel(int threads, void (*work)(void *) noexcept, void *data) {
    if (threads > 1) pool->call(threads - 1, work, data);
    else work(data);
}
