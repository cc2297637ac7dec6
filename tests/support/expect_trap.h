#pragma once
/* A call that must end in a failed assertion, run in a child process. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* True when `function(context)` traps; false when it returns or dies in another way. */
static inline bool traps(void (*function)(void *context), void *context) {
  const pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    /* No core file, and no sanitizer's handler in the way of the signal. */
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGILL, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
    function(context);
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) abort();
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}
