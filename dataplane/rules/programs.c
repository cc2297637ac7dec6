#include "rules_internal.h"

/* Operations are bit by bit, so that no operand need be right outside the rows that are asked about; behind the first operand of
 * a conjunction, outside those it has left. */
uint64_t program_run(const struct image_program *program, struct evaluation *evaluation, uint64_t rows) {
  uint64_t stack[IMAGE_PROGRAM_DEPTH_MAX];
  uint32_t depth = 0;
  evaluation->steps += program->count;
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    switch (operation) {
    case PROGRAM_AND:
      depth--;
      stack[depth - 1] &= stack[depth];
      break;
    case PROGRAM_OR:
      depth--;
      stack[depth - 1] |= stack[depth];
      break;
    case PROGRAM_NOT:
      stack[depth - 1] = ~stack[depth - 1];
      break;
    default:
      ALWAYS_ASSERT(depth < IMAGE_PROGRAM_DEPTH_MAX);
      stack[depth++] = predicate_rows(evaluation, operation, rows);
    }
    if (depth == 1 && program->conjunction) {
      rows &= stack[0];
      if (rows == 0) return 0;
    }
  }
  return depth ? stack[0] & rows : 0;
}

static bool bit_operand(const void *bits, uint32_t operand) { return bit_get(bits, operand); }

bool program_holds(const struct image_program *program, const uint64_t bits[IMAGE_SELECTORS_MAX / 64]) {
  return program_holds_by(program, bit_operand, bits);
}
