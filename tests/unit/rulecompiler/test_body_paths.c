/* Webhook bodies and the rules that read into them: members, elements, all elements; random bodies against a walk of the tree
 * that knows nothing of images; bodies that were written to do harm. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"
#include "violation.h"
#include "webhook.h"

#define RULES_MOST 64u
#define BODY_BYTES_MAX (1u << 20)

struct world {
  struct heap_arena *heap;
  struct record_ring *records;
  struct engine *engine;
  struct rule_image *image;
  char *scratch;
};

static void open_world(struct world *world, const char *text) {
  *world = (struct world){.heap = heap_arena_create(), .image = compile_text(text), .scratch = malloc(BODY_BYTES_MAX)};
  struct arena *arena = heap_arena_arena(world->heap);
  struct engine_config config = {.shards = 1, .column_capacity = 512, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = world->records = record_ring_create(arena, 1u << 20);
  config.digests_to[0] = line_ring_create(arena, 64);
  world->engine = engine_create(arena, &config, 1);
  assert_true(engine_image_fits(world->image, 512));
  engine_adopt(world->engine, world->image);
}

static void close_world(struct world *world) {
  heap_arena_destroy(world->heap);
  rule_image_free(world->image);
  free(world->scratch);
}

static bool evaluate(void *context, struct event_batch *batch) {
  const struct world *world = context;
  return engine_evaluate(world->engine, batch, 2, 3);
}

/* Which rules the body violates, by the number behind the r of their names. */
static enum webhook_outcome send(struct world *world, const char *body, size_t bytes, unsigned raised[RULES_MOST]) {
  const struct webhook_source source = {.name = "orders", .kind = WEBHOOK_STANDARD};
  const struct event_sink sink = {.context = world, .evaluate = evaluate};
  struct webhook_result result;
  uint32_t length;
  memset(raised, 0, RULES_MOST * sizeof *raised);
  webhook_decode(&source, (const uint8_t *)body, (uint32_t)bytes, world->scratch, BODY_BYTES_MAX, 7,
                 engine_batch(world->engine, EVENT_WEBHOOK), engine_batch(world->engine, EVENT_ALERT), &sink, &result);
  engine_commit(world->engine);
  for (const void *record; (record = record_ring_peek(world->records, &length)); record_ring_advance(world->records)) {
    struct violation violation;
    assert_true(violation_decode(record, length, &violation));
    raised[atoi(violation.rule.at + 1)]++;
  }
  return result.outcome;
}

struct body_case {
  const char *condition, *body;
  bool holds;
};

#define ORDER                                                                                                                    \
  "{\"limit\":10,\"items\":[{\"sku\":\"a\",\"price\":5,\"ok\":true},{\"sku\":\"b\",\"price\":20,\"tags\":[\"x\",\"y\"]},"        \
  "{\"price\":7.5,\"sku\":null},9,\"s\",[1,[2,3]]],\"m\":[[1,2],[3,4]],\"none\":[],\"n\":null,\"o\":{\"items\":{\"sku\":\"c\"}}" \
  "}"

static const struct body_case cases[] = {
    /* One element. */
    {"body.items[0].sku = \"a\"", ORDER, true},
    {"body.items[1].sku = \"a\"", ORDER, false},
    {"body.items[1].tags[1] = \"y\"", ORDER, true},
    {"body.items[3] = 9", ORDER, true},
    {"body.items[4] = \"s\"", ORDER, true},
    {"body.items[5][0] = 1 && body.items[5][1][1] = 3", ORDER, true},
    {"body.items[0].ok", ORDER, true},
    {"exists body.items[5]", ORDER, true},
    {"exists body.items[6]", ORDER, false},
    {"exists body.items[2].sku", ORDER, false},
    {"exists body.items[0]", ORDER, true},
    {"body.items[0] = \"a\"", ORDER, false},
    {"body.m[1][0] = 3", ORDER, true},
    {"exists body.o.items[0]", ORDER, false},
    {"exists body.items.sku", ORDER, false},
    {"exists body.none[0]", ORDER, false},
    {"body.items[1].price > body.items[0].price * 3", ORDER, true},
    {"body.items[0].price + body.items[1].price = 25", ORDER, true},
    /* Some element. */
    {"body.items[*].sku = \"b\"", ORDER, true},
    {"body.items[*].sku = \"z\"", ORDER, false},
    {"body.items[*].sku != \"a\"", ORDER, true},
    {"body.items[*].sku != \"a\"", "{\"items\":[{\"sku\":\"a\"},{},{\"sku\":null}]}", false},
    {"!(body.items[*].sku = \"z\")", ORDER, true},
    {"!(body.items[*].sku = \"b\")", ORDER, false},
    {"body.items[*].sku in [\"q\", \"b\"]", ORDER, true},
    {"body.items[*].sku not in [\"q\", \"b\"]", ORDER, false},
    {"body.items[*].price > 19", ORDER, true},
    {"body.items[*].price > 20", ORDER, false},
    {"body.items[*].price < 5.5 && body.items[*].price >= 20", ORDER, true},
    {"body.items[*].price > body.limit", ORDER, true},
    {"body.items[*].price = body.limit", ORDER, false},
    {"body.items[*].sku = body.items[0].sku", ORDER, true},
    {"body.items[*].price > body.limit * 2 - 1", ORDER, true},
    {"body.items[*].price > body.missing", ORDER, false},
    {"body.items[*].ok", ORDER, true},
    {"body.items[*].sku =~ \"^b$\"", ORDER, true},
    {"body.items[*].sku !~ \"^a\"", ORDER, true},
    {"body.items[*].sku !~ \"^[ab]\"", ORDER, false},
    {"body.items[*].sku startsWith \"b\" && body.items[*].sku endsWith \"a\"", ORDER, true},
    {"body.items[*] = \"s\" && body.items[*] = 9", ORDER, true},
    {"body.items[*].tags[*] = \"y\"", ORDER, true},
    {"body.items[*].tags[0] = \"y\"", ORDER, false},
    {"body.m[*][*] = 4 && body.m[*][0] = 3 && body.m[0][*] = 2", ORDER, true},
    {"body.m[*][0] = 2 || body.m[1][*] = 2", ORDER, false},
    {"exists body.items[*].tags", ORDER, true},
    {"exists body.items[*].sku", "{\"items\":[{},{\"sku\":null}]}", false},
    {"exists body.none[*]", ORDER, false},
    {"body.none[*] = null", ORDER, true},
    {"exists body.o.items[*]", ORDER, false},
    {"body.items[*].sku = \"c\"", ORDER, false},
    {"body.addresses[*] in cidr [\"10.0.0.0/8\"]", "{\"addresses\":[\"1.2.3.4\",\"10.9.9.9\"]}", true},
    {"body.addresses[*] in cidr [\"10.0.0.0/8\"]", "{\"addresses\":[\"1.2.3.4\",\"11.9.9.9\"]}", false},
    /* [0] and [*] of one array, in one set and in one rule. */
    {"body.items[0].sku = \"a\" && body.items[*].sku = \"b\" && body.items[0].price = 5", ORDER, true},
    {"body.items[0].tags[0] = \"x\"", ORDER, false},
    {"body.items[1].tags[*] = \"x\"", ORDER, true},
    /* Members that come twice: the last one counts, of elements each does. */
    {"body.a[0] = 2", "{\"a\":[1],\"a\":[2]}", true},
    {"body.a[*] = 1 && body.a[*] = 2", "{\"a\":[1],\"a\":[2]}", true},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* All conditions in one set, so that their paths meet; then each alone. */
static void test_cases(void **state) {
  (void)state;
  _Static_assert(COUNT(cases) <= RULES_MOST, "one rule a case");
  char *text = malloc(1 << 16), *end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i < COUNT(cases); i++)
    end += sprintf(end, "  - name: r%u\n    on: webhook\n    if: |\n      %s\n", i, cases[i].condition);
  struct world together;
  open_world(&together, text);
  for (unsigned i = 0; i < COUNT(cases); i++) {
    unsigned raised[RULES_MOST];
    assert_int_equal(send(&together, cases[i].body, strlen(cases[i].body), raised), WEBHOOK_DECODED);
    if (raised[i] != cases[i].holds) fail_msg("together: %s is %u", cases[i].condition, raised[i]);
    sprintf(text, "rules:\n  - name: r0\n    on: webhook\n    if: |\n      %s\n", cases[i].condition);
    struct world alone;
    open_world(&alone, text);
    send(&alone, cases[i].body, strlen(cases[i].body), raised);
    if (raised[0] != cases[i].holds) fail_msg("alone: %s is %u", cases[i].condition, raised[0]);
    close_world(&alone);
  }
  close_world(&together);
  free(text);
}

/* A JSON tree made at random, written and walked. */
enum tree_kind { TREE_NUMBER, TREE_NULL, TREE_ARRAY, TREE_OBJECT };
struct tree {
  enum tree_kind kind;
  int number;
  unsigned count;
  struct tree *children; /* members a, b, c */
};

static struct tree make_tree(unsigned depth) {
  const long pick = random() % 10;
  struct tree tree = {.kind = depth == 0 || pick < 2 ? (pick == 0 ? TREE_NULL : TREE_NUMBER)
                              : pick < 7             ? TREE_ARRAY
                                                     : TREE_OBJECT,
                      .number = (int)(random() % 4)};
  if (tree.kind < TREE_ARRAY) return tree;
  tree.count = tree.kind == TREE_OBJECT ? 3 : (unsigned)random() % 4;
  tree.children = calloc(tree.count + 1, sizeof *tree.children);
  for (unsigned i = 0; i < tree.count; i++) tree.children[i] = make_tree(depth - 1);
  return tree;
}

static void free_tree(struct tree *tree) {
  for (unsigned i = 0; i < tree->count; i++) free_tree(&tree->children[i]);
  free(tree->children);
}

static char *write_tree(const struct tree *tree, char *text) {
  if (tree->kind == TREE_NULL) return text + sprintf(text, "null");
  if (tree->kind == TREE_NUMBER) return text + sprintf(text, "%d", tree->number);
  *text++ = tree->kind == TREE_ARRAY ? '[' : '{';
  for (unsigned i = 0; i < tree->count; i++) {
    if (i) *text++ = ',';
    if (tree->kind == TREE_OBJECT) text += sprintf(text, "\"%c\":", 'a' + (int)i);
    text = write_tree(&tree->children[i], text);
  }
  *text++ = tree->kind == TREE_ARRAY ? ']' : '}';
  return text;
}

struct path {
  unsigned count;
  int steps[6]; /* 0 to 2: a member; -1: every element; 10 and up: an element */
};

static char *write_path(struct path *path, char *text) {
  path->count = 1 + (unsigned)random() % 5;
  text += sprintf(text, "body");
  for (unsigned i = 0; i < path->count; i++) {
    const long pick = i == 0 ? 0 : random() % 3;
    path->steps[i] = pick == 0 ? (int)(random() % 3) : pick == 1 ? -1 : 10 + (int)(random() % 3);
    if (path->steps[i] < 0)
      text += sprintf(text, "[*]");
    else if (path->steps[i] >= 10)
      text += sprintf(text, "[%d]", path->steps[i] - 10);
    else
      text += sprintf(text, ".%c", 'a' + path->steps[i]);
  }
  return text;
}

/* Whether some value that the path leads to is this number; `other`: is there and is not. */
static bool leads_to(const struct tree *tree, const struct path *path, unsigned at, int number, bool other) {
  if (at == path->count) {
    if (tree->kind == TREE_NULL) return false;
    return other ? tree->kind != TREE_NUMBER || tree->number != number : tree->kind == TREE_NUMBER && tree->number == number;
  }
  const int step = path->steps[at];
  if (step >= 0 && step < 10) return tree->kind == TREE_OBJECT && leads_to(&tree->children[step], path, at + 1, number, other);
  if (tree->kind != TREE_ARRAY) return false;
  if (step >= 10) return (unsigned)(step - 10) < tree->count && leads_to(&tree->children[step - 10], path, at + 1, number, other);
  for (unsigned i = 0; i < tree->count; i++)
    if (leads_to(&tree->children[i], path, at + 1, number, other)) return true;
  return false;
}

static void test_random_bodies(void **state) {
  (void)state;
  srandom(77);
  char *text = malloc(1 << 16), *body = malloc(1 << 20);
  unsigned held = 0, judged = 0;
  for (int round = 0; round < 150; round++) {
    struct path paths[RULES_MOST];
    int numbers[RULES_MOST];
    bool others[RULES_MOST];
    char *end = text + sprintf(text, "rules:\n");
    for (unsigned i = 0; i < RULES_MOST; i++) {
      end += sprintf(end, "  - name: r%u\n    on: webhook\n    if: |\n      ", i);
      end = write_path(&paths[i], end);
      numbers[i] = (int)(random() % 4);
      others[i] = random() % 4 == 0;
      end += sprintf(end, " %s %d\n", others[i] ? "!=" : "=", numbers[i]);
    }
    struct world world;
    open_world(&world, text);
    for (int each = 0; each < 20; each++) {
      unsigned raised[RULES_MOST];
      struct tree tree = make_tree(6);
      while (tree.kind != TREE_OBJECT) {
        free_tree(&tree);
        tree = make_tree(6);
      }
      const char *body_end = write_tree(&tree, body);
      assert_int_equal(send(&world, body, (size_t)(body_end - body), raised), WEBHOOK_DECODED);
      for (unsigned i = 0; i < RULES_MOST; i++, judged++) {
        const bool expected = leads_to(&tree, &paths[i], 0, numbers[i], others[i]);
        held += expected;
        if (raised[i] != expected) fail_msg("r%u is %u in\n%.2000s\nof %.*s", i, raised[i], text, (int)(body_end - body), body);
      }
      free_tree(&tree);
    }
    close_world(&world);
  }
  assert_true(held > judged / 50 && held < judged / 2);
  free(text);
  free(body);
}

/* As many values as are kept are judged, the others are counted; the next body begins anew. */
static void test_many_elements(void **state) {
  (void)state;
  static const unsigned counts[] = {EVENT_ELEMENTS_MAX, EVENT_ELEMENTS_MAX + 1, 100000};
  struct world world;
  open_world(&world, "rules:\n"
                     "  - {name: r0, on: webhook, if: 'body.a[*] = 2'}\n"
                     "  - {name: r1, on: webhook, if: 'body.a[*] = 1'}\n"
                     "  - {name: r2, on: webhook, if: 'body.b[*] = 3'}\n");
  char *body = malloc(BODY_BYTES_MAX);
  uint64_t left_out = 0;
  for (size_t c = 0; c < COUNT(counts); c++) {
    unsigned raised[RULES_MOST];
    char *end = body + sprintf(body, "{\"a\":[");
    for (unsigned i = 0; i + 1 < counts[c]; i++) end += sprintf(end, "1,");
    end += sprintf(end, "2],\"b\":[3]}");
    assert_int_equal(send(&world, body, (size_t)(end - body), raised), WEBHOOK_DECODED);
    assert_int_equal(raised[0], counts[c] <= EVENT_ELEMENTS_MAX);
    assert_int_equal(raised[1], 1);
    assert_int_equal(raised[2], 1);
    left_out += counts[c] > EVENT_ELEMENTS_MAX ? counts[c] - EVENT_ELEMENTS_MAX : 0;
    assert_int_equal(engine_counters(world.engine)->elements_unjudged, left_out);
  }
  close_world(&world);
  free(body);
}

/* Values of all paths together are bounded too. */
static void test_many_paths(void **state) {
  (void)state;
  char *text = malloc(1 << 16), *end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i < RULES_MOST; i++) end += sprintf(end, "  - {name: r%u, on: webhook, if: 'body.a%u[*] = 1'}\n", i, i);
  struct world world;
  open_world(&world, text);
  char *body = malloc(BODY_BYTES_MAX);
  end = body + sprintf(body, "{");
  for (unsigned i = 0; i < RULES_MOST; i++) {
    end += sprintf(end, "%s\"a%u\":[1", i ? "," : "", i);
    for (unsigned each = 1; each < 1000; each++) end += sprintf(end, ",2");
    end += sprintf(end, "]");
  }
  end += sprintf(end, "}");
  unsigned raised[RULES_MOST], total = 0;
  for (int again = 0; again < 2; again++) {
    assert_int_equal(send(&world, body, (size_t)(end - body), raised), WEBHOOK_DECODED);
    for (unsigned i = 0, before = total; i < RULES_MOST; i++) {
      assert_int_equal(raised[i], i < (BATCH_ELEMENTS_MAX + 999) / 1000);
      total += raised[i];
      assert_true(total >= before);
    }
  }
  assert_int_equal(engine_counters(world.engine)->elements_unjudged, 2 * (RULES_MOST * 1000 - BATCH_ELEMENTS_MAX));
  close_world(&world);
  free(body);
  free(text);
}

/* Deep, broken and cut bodies: refused or judged, never a step out of bounds (under the sanitizers). */
static void test_hostile_bodies(void **state) {
  (void)state;
  struct world world;
  open_world(&world, "rules:\n"
                     "  - {name: r0, on: webhook, if: 'body.a[*][*][*] = 1 || body.a[0][0].b[*] = 1 || body.a[*].b[1] = 1'}\n"
                     "  - {name: r1, on: webhook, if: 'body.a[*] = 1 && body.a[2] = 1'}\n");
  unsigned raised[RULES_MOST];
  for (unsigned depth = 1; depth < 200; depth++) {
    char body[2048] = "{\"a\":", *end = body + strlen(body);
    for (unsigned i = 0; i < depth; i++) *end++ = '[';
    *end++ = '1';
    for (unsigned i = 0; i < depth; i++) *end++ = ']';
    *end++ = '}';
    const enum webhook_outcome outcome = send(&world, body, (size_t)(end - body), raised);
    assert_true(outcome == WEBHOOK_DECODED ? depth < 64 : outcome == WEBHOOK_NOT_JSON);
    assert_int_equal(raised[0], depth == 3);
  }
  const char *whole = "{\"a\":[[[1,{\"b\":[1,2,[3]]}],null,{\"b\":[0,1]}],1,1,[],{}],\"b\":\"\\u00e9[*]\"}";
  assert_int_equal(send(&world, whole, strlen(whole), raised), WEBHOOK_DECODED);
  assert_int_equal(raised[0], 1);
  assert_int_equal(raised[1], 1);
  for (size_t cut = 0; cut < strlen(whole); cut++) {
    char *copy = malloc(cut + 1); /* so that a byte too far is seen */
    memcpy(copy, whole, cut);
    assert_true(send(&world, copy, cut, raised) != WEBHOOK_DECODED);
    assert_int_equal(raised[0] + raised[1], 0);
    free(copy);
  }
  srandom(5);
  for (int round = 0; round < 20000; round++) {
    char copy[128];
    const size_t length = strlen(whole);
    memcpy(copy, whole, length);
    for (long changes = 1 + random() % 3; changes > 0; changes--)
      copy[(size_t)random() % length] = "[]{},:\"1a\\ \xff"[random() % 12];
    send(&world, copy, length, raised);
  }
  close_world(&world);
}

/* The same paths in every order and mixture make one automaton; too many mixtures are an error, not a heap of memory. */
static void test_too_many_mixtures(void **state) {
  (void)state;
  char *text = malloc(1 << 20), *end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i < 28; i++) {
    end += sprintf(end, "  - {name: r%u, on: webhook, if: 'body.a", i);
    for (unsigned level = 0; level < 28; level++) end += sprintf(end, level == i ? "[0]" : "[*]");
    end += sprintf(end, " = 1'}\n");
  }
  struct rule_errors errors = {0};
  struct rule_set *set = parse_good(text);
  assert_null(rule_image_compile(set, 1, NULL, 1, &errors));
  assert_int_equal(errors.count, 1);
  assert_string_equal(errors.items[0].message, "the rules mix [N] and [*] in body paths in too many ways");
  rule_errors_free(&errors);
  rule_set_free(set);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cases),      cmocka_unit_test(test_random_bodies),  cmocka_unit_test(test_many_elements),
      cmocka_unit_test(test_many_paths), cmocka_unit_test(test_hostile_bodies), cmocka_unit_test(test_too_many_mixtures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
