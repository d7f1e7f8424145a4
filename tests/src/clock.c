/* Loaded before libc's own (LD_PRELOAD): the time of day is CLOCK_AHEAD_SECS later. Clocks that only measure are right, until
   there is a file CLOCK_JUMPED: then CLOCK_JUMP_SECS have passed at once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*of_libc)(clockid_t, struct timespec *);
    if (!of_libc)
        of_libc = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = of_libc(clock, now);
    const char *ahead = getenv("CLOCK_AHEAD_SECS");
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += atol(ahead);
    const char *jumped = getenv("CLOCK_JUMPED"), *jump = getenv("CLOCK_JUMP_SECS");
    if (!failed && jumped && jump && clock == CLOCK_MONOTONIC && access(jumped, F_OK) == 0)
        now->tv_sec += atol(jump);
    return failed;
}
