#include "always_assert.h"
#include <stddef.h>

const char *volatile assert_failed_expression = NULL;
const char *volatile assert_failed_file = NULL;
volatile int assert_failed_line = 0;

/* Cold and not inlined, so that a check costs its caller one compare and one branch not taken. */
__attribute__((cold, noinline)) void assert_failed(const char *expression, const char *file, int line) {
  assert_failed_line = line;
  assert_failed_file = file;
  assert_failed_expression = expression;
  __builtin_trap();
}
