/* What compiled conditions mean: each image is run by the plainest interpreter of image.h, one event at a time, and compared with
 * truth written down by hand and with random expressions whose truth is known while they are written. */
#include "cmocka_test.h"

#include "rule_text_support.h"
#include "written_truth.h"

/* The span of written_truth.h. */
static struct value value_of(const struct image_column *column) {
  const struct value null = {.type = VALUE_NULL};
  if (column->scope == SCOPE_INTRINSIC) {
    switch (column->intrinsic) {
    case INTRINSIC_NAME:
      return (struct value){.type = VALUE_STRING, .text = "op", .length = 2};
    case INTRINSIC_KIND:
      return (struct value){.type = VALUE_STRING, .text = "client", .length = 6};
    case INTRINSIC_STATUS:
      return (struct value){.type = VALUE_STRING, .text = "error", .length = 5};
    case INTRINSIC_DURATION:
      return (struct value){.type = VALUE_INTEGER, .integer = 3000000000};
    case INTRINSIC_ROOT:
      return (struct value){.type = VALUE_BOOL, .boolean = true};
    default:
      return null;
    }
  }
  if (column->scope != SCOPE_SPAN || column->key.length != 1) return null;
  switch (column->key.at[0]) {
  case 'i':
    return (struct value){.type = VALUE_INTEGER, .integer = 5};
  case 'd':
    return (struct value){.type = VALUE_DOUBLE, .real = 2.5};
  case 's':
    return (struct value){.type = VALUE_STRING, .text = "hello", .length = 5};
  case 't':
    return (struct value){.type = VALUE_BOOL, .boolean = true};
  case 'f':
    return (struct value){.type = VALUE_BOOL, .boolean = false};
  case 'o':
    return (struct value){.type = VALUE_OTHER};
  default:
    return null;
  }
}

static bool is_number(const struct value *value) { return value->type == VALUE_INTEGER || value->type == VALUE_DOUBLE; }

static long double number_of(const struct value *value) {
  return value->type == VALUE_INTEGER ? (long double)value->integer : (long double)value->real;
}

static bool equal(const struct value *a, const struct value *b) {
  if (is_number(a) && is_number(b)) return number_of(a) == number_of(b);
  if (a->type != b->type) return false;
  if (a->type == VALUE_BOOL) return a->boolean == b->boolean;
  return a->type == VALUE_STRING && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static struct value column_value(const struct image_kind *kind, const struct image_column *column);

static struct value operand_value(const struct image_kind *kind, const struct image_operand *operand) {
  return operand->column == IMAGE_NO_COLUMN ? operand->constant : column_value(kind, &kind->columns[operand->column]);
}

/* Numbers here are small: their arithmetic is exact in a long double. */
static struct value column_value(const struct image_kind *kind, const struct image_column *column) {
  const struct value null = {.type = VALUE_NULL};
  if (!column->computation) return value_of(column);
  const bool negate = column->computation->computation == COMPUTE_NEGATE;
  const struct value right = operand_value(kind, &column->computation->right);
  const struct value left = negate ? (struct value){.type = VALUE_INTEGER} : operand_value(kind, &column->computation->left);
  if (!is_number(&left) || !is_number(&right)) return null;
  const long double a = number_of(&left), b = number_of(&right);
  bool integer = left.type == VALUE_INTEGER && right.type == VALUE_INTEGER;
  long double result = 0;
  switch (column->computation->computation) {
  case COMPUTE_ADD:
    result = a + b;
    break;
  case COMPUTE_NEGATE:
  case COMPUTE_SUBTRACT:
    result = a - b;
    break;
  case COMPUTE_MULTIPLY:
    result = a * b;
    break;
  case COMPUTE_DIVIDE:
    if (b == 0) return null;
    result = a / b;
    integer = false;
    break;
  case COMPUTE_REMAINDER:
    if (!integer || b == 0) return null;
    result = right.integer == -1 ? 0 : (long double)(left.integer % right.integer);
    break;
  }
  if (!integer) return (struct value){.type = VALUE_DOUBLE, .real = (double)result};
  if (result < -0x1p63L || result >= 0x1p63L) return null;
  return (struct value){.type = VALUE_INTEGER, .integer = (int64_t)result};
}

static int note_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  (void)from, (void)to, (void)flags;
  ((bool *)context)[id] = true;
  return 0;
}

static bool matches(const struct rule_image *image, const struct image_column *column, uint32_t id, const struct value *value) {
  bool found[1024] = {false};
  assert_true(id < 1024);
  assert_int_equal(hs_scan(column->patterns, value->text, value->length, 0, image->scratch[0], note_match, found), HS_SUCCESS);
  return found[id];
}

static bool judge_predicate(const struct rule_image *image, const struct image_kind *kind, uint32_t id) {
  const struct image_predicate *predicate = &kind->predicates[id];
  if (predicate->operation == PREDICATE_CONSTANT) return predicate->constant.boolean;
  const struct image_column *column = &kind->columns[predicate->column];
  const struct value value = column_value(kind, column);
  const struct value other = predicate->between ? column_value(kind, &kind->columns[predicate->other]) : predicate->constant;
  const struct value *constant = &other;
  if (value.type == VALUE_NULL || (predicate->between && other.type == VALUE_NULL)) return false;
  if (predicate->between && predicate->operation >= PREDICATE_CONTAINS &&
      (value.type != VALUE_STRING || other.type != VALUE_STRING))
    return false;
  const bool numbers = is_number(&value) && is_number(constant);
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_EQUAL:
    return equal(&value, constant);
  case PREDICATE_NOT_EQUAL:
    return !equal(&value, constant);
  case PREDICATE_LESS:
    return numbers && number_of(&value) < number_of(constant);
  case PREDICATE_LESS_OR_EQUAL:
    return numbers && number_of(&value) <= number_of(constant);
  case PREDICATE_GREATER:
    return numbers && number_of(&value) > number_of(constant);
  case PREDICATE_GREATER_OR_EQUAL:
    return numbers && number_of(&value) >= number_of(constant);
  case PREDICATE_MATCHES:
    return value.type == VALUE_STRING && matches(image, column, id, &value);
  case PREDICATE_NOT_MATCHES:
    return value.type == VALUE_STRING && !matches(image, column, id, &value);
  case PREDICATE_CONTAINS:
    return value.type == VALUE_STRING && memmem(value.text, value.length, constant->text, constant->length) != NULL;
  case PREDICATE_TRUE:
    return value.type == VALUE_BOOL && value.boolean;
  case PREDICATE_IN:
    for (uint32_t i = 0; i < predicate->list_count; i++)
      if (equal(&value, &predicate->list[i])) return true;
    return false;
  case PREDICATE_STARTS_WITH:
    return value.type == VALUE_STRING && value.length >= constant->length &&
           strncmp(value.text, constant->text, constant->length) == 0;
  case PREDICATE_ENDS_WITH:
    return value.type == VALUE_STRING && value.length >= constant->length &&
           memcmp(value.text + value.length - constant->length, constant->text, constant->length) == 0;
  case PREDICATE_EXISTS:
    return true;
  case PREDICATE_IN_NETWORKS: /* the known span has no addresses */
    return false;
  case PREDICATE_CONSTANT:
    break;
  }
  fail();
  return false;
}

static bool judge(const struct rule_image *image) {
  const struct image_kind *kind = &image->kinds[EVENT_SPAN];
  const struct image_program *program = &kind->rules[0].condition;
  bool stack[IMAGE_PROGRAM_DEPTH_MAX];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    if (operation == PROGRAM_NOT) {
      stack[depth - 1] = !stack[depth - 1];
    } else if (operation == PROGRAM_AND || operation == PROGRAM_OR) {
      depth--;
      stack[depth - 1] = operation == PROGRAM_AND ? stack[depth - 1] && stack[depth] : stack[depth - 1] || stack[depth];
    } else {
      assert_true(depth < IMAGE_PROGRAM_DEPTH_MAX);
      stack[depth++] = judge_predicate(image, kind, operation);
    }
  }
  assert_int_equal(depth, 1);
  return stack[0];
}

static bool truth(const char *expression) {
  char *text = rule_with("span", expression);
  struct rule_image *image = compile_text(text);
  const bool result = judge(image);
  rule_image_free(image);
  free(text);
  return result;
}

static void test_leaves(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(true_leaves); i++)
    if (!truth(true_leaves[i])) fail_msg("%s is not true", true_leaves[i]);
  for (size_t i = 0; i < COUNT(false_leaves); i++)
    if (truth(false_leaves[i])) fail_msg("%s is not false", false_leaves[i]);
}

static void test_random_expressions(void **state) {
  (void)state;
  srandom(1234);
  char *text = malloc(1 << 20);
  unsigned held = 0;
  for (int round = 0; round < 1500; round++) {
    const struct written written = write_or(text, (unsigned)random() % 5);
    if (written.end - text > 30000) continue;
    if (truth(text) != written.truth) fail_msg("%s is not %s", text, written.truth ? "true" : "false");
    held += written.truth;
  }
  assert_true(held > 200 && held < 1300);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_leaves),
      cmocka_unit_test(test_random_expressions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
