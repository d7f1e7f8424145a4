/* Loaded before libc's own (LD_PRELOAD): the time of day is CLOCK_AHEAD_SECS later; clocks that only measure are right. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*of_libc)(clockid_t, struct timespec *);
    if (!of_libc)
        of_libc = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = of_libc(clock, now);
    const char *ahead = getenv("CLOCK_AHEAD_SECS");
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += atol(ahead);
    return failed;
}
