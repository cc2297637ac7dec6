#pragma once
/* Assertions that stay on in release builds. They guard our own invariants: a hostile packet reaches a counter,
 * never one of these. Threads: any. */

_Noreturn void assert_failed(const char *expression, const char *file, int line);

#define ALWAYS_ASSERT(expression) (__builtin_expect(!!(expression), 1) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))
