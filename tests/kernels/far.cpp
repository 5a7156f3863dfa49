// Calls functions of a kernel library for another process, which may be of another machine: see far.py.
//
//     far LIBRARY < requests > answers
//
// A request is a `Request`, so many bytes of memory, and pairs of numbers: at byte `place` of the memory stands a pointer to byte
// `target`; a place below 0 means argument -1 - place. The answer is what the function returns, and the memory after the call.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#include <windows.h>
#else
#include <dlfcn.h>
#endif

struct Request {
    char name[32];
    int64_t arguments[6];
    int64_t bytes, pointers;
};

static void fail(const char *what) {
    fprintf(stderr, "far: %s\n", what);
    exit(1);
}

static void take(void *to, size_t bytes) {
    if (fread(to, 1, bytes, stdin) != bytes) fail("the request is cut off");
}

int main(int count, char **words) {
    if (count != 2) fail("one argument is wanted, a library");
#if defined(_WIN32)
    _setmode(0, _O_BINARY), _setmode(1, _O_BINARY);
    HMODULE library = LoadLibraryA(words[1]);
    auto find = [&](const char *name) { return reinterpret_cast<void *>(GetProcAddress(library, name)); };
#else
    void *library = dlopen(words[1], RTLD_NOW);
    auto find = [&](const char *name) { return dlsym(library, name); };
#endif
    if (!library) fail("the library cannot be loaded");
    Request request;
    while (fread(&request, sizeof request, 1, stdin) == 1) {
        // At a line of the cache, as what torch allocates.
        char *room = static_cast<char *>(malloc(request.bytes + 128));
        char *memory = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(room) + 63) & ~uintptr_t(63));
        take(memory, request.bytes);
        for (int64_t i = 0; i < request.pointers; i++) {
            int64_t pair[2];
            take(pair, sizeof pair);
            int64_t address = reinterpret_cast<int64_t>(memory + pair[1]);
            if (pair[0] < 0) request.arguments[-1 - pair[0]] = address;
            else memcpy(memory + pair[0], &address, sizeof address);
        }
        void *function = find(request.name);
        if (!function) fail("the library has no such function");
        // All arguments are integers or pointers, and come in registers.
        using Any = int (*)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
        int64_t *a = request.arguments;
        int64_t result = reinterpret_cast<Any>(function)(a[0], a[1], a[2], a[3], a[4], a[5]);
        fwrite(&result, sizeof result, 1, stdout);
        fwrite(memory, 1, request.bytes, stdout);
        fflush(stdout);
        free(room);
    }
}
