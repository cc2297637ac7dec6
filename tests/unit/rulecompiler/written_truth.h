#pragma once
/* Conditions whose truth is known while they are written, about one span: span.i = 5, span.d = 2.5, span.s = "hello",
 * span.t = true, span.f = false, span.o an array; name "op", a client root span in error of 3 s, no service; everything else is
 * missing. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const true_leaves[] = {"span.i = 5",
                                          "span.i != 4",
                                          "span.i < 6",
                                          "span.i <= 5",
                                          "span.i > -1",
                                          "span.i >= 5.0",
                                          "5 = span.i",
                                          "6 > span.i",
                                          "4 < span.i",
                                          "span.i in [1, 5]",
                                          "span.i not in [1]",
                                          "span.d = 2.5",
                                          "span.d > 2",
                                          "span.d < 3",
                                          "span.s = \"hello\"",
                                          "span.s != \"x\"",
                                          "span.s != 5",
                                          "span.s =~ \"^h.*o$\"",
                                          "span.s =~ \"ll\"",
                                          "span.s !~ \"^l\"",
                                          "span.s contains \"ell\"",
                                          "span.s contains \"\"",
                                          "span.s in [\"a\", \"hello\"]",
                                          "span.s =~ \"\"",
                                          "span.t",
                                          "span.t = true",
                                          "span.f = false",
                                          "span.t != false",
                                          "true",
                                          "root",
                                          "root = true",
                                          "kind = client",
                                          "kind != server",
                                          "kind in (client)",
                                          "status = error",
                                          "duration = 3s",
                                          "duration > 2999.999ms",
                                          "3000000000 <= duration",
                                          "name = \"op\"",
                                          "!(span.none = 1)",
                                          "!span.none",
                                          "!(span.none != 1)",
                                          "span.none not in [1]",
                                          "!(service = \"x\")",
                                          "!(parent_id = \"0123456789abcdef\")",
                                          "span.o != 1",
                                          "span.i != \"5\"",
                                          "!(span.s = 5)",
                                          "!(span.t = 1)",
                                          "span.i < 5.5",
                                          "!(span.o = \"\")"};
static const char *const false_leaves[] = {"span.i = 4",
                                           "span.i != 5",
                                           "span.i < 5",
                                           "span.i <= 4.5",
                                           "span.i > 5",
                                           "span.i >= 6",
                                           "span.i = \"5\"",
                                           "5 < span.i",
                                           "span.i in [1, \"5\"]",
                                           "span.i not in [5.0]",
                                           "span.i =~ \"5\"",
                                           "span.i !~ \"5\"",
                                           "span.i contains \"5\"",
                                           "span.s = \"hell\"",
                                           "span.s != \"hello\"",
                                           "span.s =~ \"^l\"",
                                           "span.s !~ \"l\"",
                                           "span.s contains \"Ell\"",
                                           "span.s > 1",
                                           "span.s",
                                           "span.i",
                                           "span.f",
                                           "!span.t",
                                           "false",
                                           "!root",
                                           "kind = server",
                                           "kind not in [client]",
                                           "status = ok",
                                           "duration < 3s",
                                           "span.none",
                                           "span.none = 1",
                                           "span.none != 1",
                                           "span.none < 1",
                                           "span.none =~ \"\"",
                                           "span.none !~ \"x\"",
                                           "span.none contains \"\"",
                                           "span.none in [1]",
                                           "service != \"x\"",
                                           "service !~ \"x\"",
                                           "parent_id != \"0123456789abcdef\"",
                                           "resource.s = \"hello\"",
                                           "span.o",
                                           "span.o = \"\"",
                                           "span.o =~ \"\"",
                                           "span.t = 1",
                                           "span.t = \"true\"",
                                           "span.d = 2"};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

struct written {
  char *end;
  bool truth;
};

static inline struct written write_or(char *end, unsigned depth);

static inline struct written write_unary(char *end, unsigned depth) {
  if (depth > 0 && random() % 3 == 0) {
    const bool negative = random() % 2;
    end += sprintf(end, "%s(", negative ? (random() % 2 ? "!" : "not ") : "");
    struct written inner = write_or(end, depth - 1);
    inner.end += sprintf(inner.end, ")");
    inner.truth ^= negative;
    return inner;
  }
  const bool value = random() % 2;
  const char *leaf =
      value ? true_leaves[(size_t)random() % COUNT(true_leaves)] : false_leaves[(size_t)random() % COUNT(false_leaves)];
  return (struct written){.end = end + sprintf(end, "%s", leaf), .truth = value};
}

static inline struct written write_and(char *end, unsigned depth) {
  struct written all = write_unary(end, depth);
  for (long more = random() % 3; more > 0; more--) {
    all.end += sprintf(all.end, random() % 2 ? " && " : " and ");
    const struct written next = write_unary(all.end, depth);
    all = (struct written){.end = next.end, .truth = all.truth & next.truth};
  }
  return all;
}

static inline struct written write_or(char *end, unsigned depth) {
  struct written any = write_and(end, depth);
  for (long more = random() % 3; more > 0; more--) {
    any.end += sprintf(any.end, random() % 2 ? " || " : " or ");
    const struct written next = write_and(any.end, depth);
    any = (struct written){.end = next.end, .truth = any.truth | next.truth};
  }
  return any;
}
