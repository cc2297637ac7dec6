#pragma once
/* Assertions that stay on in release builds. They guard our own invariants: a hostile packet reaches a counter,
 * never one of these. Threads: any. */

/* Never returns: traps. */
_Noreturn void assert_failed(const char *expression, const char *file, int line);

#define ALWAYS_ASSERT(expression) (__builtin_expect(!!(expression), 1) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))

/* What failed: NULL until an assertion fails. Read by a crash handler or in the core dump; of two threads that fail at once
 * either may win. */
extern const char *volatile assert_failed_expression;
extern const char *volatile assert_failed_file;
extern volatile int assert_failed_line;
