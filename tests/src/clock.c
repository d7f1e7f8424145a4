/* Loaded before libc's own (LD_PRELOAD): the time of day is CLOCK_AHEAD_SECS later, and by what the file CLOCK_SET says, while
   there is one. Clocks that only measure are right, until there is a file CLOCK_JUMPED: then CLOCK_JUMP_SECS have passed at
   once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long said(const char *file) {
    char text[32] = "";
    int kept = errno, from = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (from >= 0) {
        if (read(from, text, sizeof text - 1) < 0)
            text[0] = 0;
        close(from);
    }
    errno = kept;
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*of_libc)(clockid_t, struct timespec *);
    if (!of_libc)
        of_libc = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = of_libc(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        const char *ahead = getenv("CLOCK_AHEAD_SECS");
        now->tv_sec += (ahead ? atol(ahead) : 0) + said(getenv("CLOCK_SET"));
    }
    const char *jumped = getenv("CLOCK_JUMPED"), *jump = getenv("CLOCK_JUMP_SECS");
    if (!failed && jumped && jump && clock == CLOCK_MONOTONIC && access(jumped, F_OK) == 0)
        now->tv_sec += atol(jump);
    return failed;
}
