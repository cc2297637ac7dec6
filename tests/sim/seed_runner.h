#pragma once
/* Runs seeds, each in a process of its own, some at a time; one that fails is named, and can be run alone. */
#include <stdint.h>

/* Arguments: [FIRST [COUNT [PROCESSES]]]. `run` ends the process when a law is broken. Returns the program's exit status. */
int seed_runner(int argument_count, char **arguments, void (*run)(uint64_t seed));
