#include "expression_internal.h"
#include <stdlib.h>
#include <string.h>

#define PATTERN_BYTES_MAX 4096u
/* Bounded repeats are what makes a short pattern huge: Hyperscan compiles {n} as n copies. At 300 copies a pattern takes
 * below a second. */
#define PATTERN_EXPANSION_MAX 300u
#define PATTERN_GROUPS_MAX 64u
/* A Unicode property is hundreds of byte sequences in UTF-8. */
#define PROPERTY_EXPANSION 40u
/* An assertion splits every state around it; once repeated it costs far more than a character. */
#define ASSERTION_SIZE 10u

struct size {
  uint64_t plain, expanded;
};

static uint32_t read_count(struct image_text pattern, uint32_t *at) {
  uint32_t count = 0;
  for (; *at < pattern.length && pattern.at[*at] >= '0' && pattern.at[*at] <= '9'; (*at)++)
    if (count < 1000000) count = count * 10 + (uint32_t)(pattern.at[*at] - '0');
  return count;
}

/* The `{n}`, `{n,}` or `{n,m}` at `*at`: the most copies it asks for, or 1 when it is no quantifier. */
static uint32_t read_quantifier(struct image_text pattern, uint32_t *at) {
  uint32_t here = *at + 1;
  const uint32_t digits = here;
  const uint32_t least = read_count(pattern, &here);
  uint32_t most = least;
  if (here == digits) return 1;
  if (here < pattern.length && pattern.at[here] == ',') {
    here++;
    most = read_count(pattern, &here);
  }
  if (here >= pattern.length || pattern.at[here] != '}') return 1;
  *at = here + 1;
  const uint32_t copies = most > least ? most : least;
  return copies > 1 ? copies : 1;
}

/* At a backslash: passes the escape, braces of \x{..} and \p{..} included. */
static struct size pass_escape(struct image_text pattern, uint32_t *at) {
  const char letter = *at + 1 < pattern.length ? pattern.at[*at + 1] : '\0';
  *at += 2;
  if (letter != '\0' && strchr("pPxoNgk", letter) && *at < pattern.length && pattern.at[*at] == '{')
    while (*at < pattern.length && pattern.at[(*at)++] != '}') continue;
  if (letter == 'p' || letter == 'P' || letter == 'X') return (struct size){.expanded = PROPERTY_EXPANSION};
  return (struct size){.plain = letter == 'b' || letter == 'B' ? ASSERTION_SIZE : 1};
}

static struct size pass_class(struct image_text pattern, uint32_t *at) {
  struct size size = {.plain = 1};
  (*at)++;
  if (*at < pattern.length && pattern.at[*at] == '^') (*at)++;
  if (*at < pattern.length && pattern.at[*at] == ']') (*at)++;
  while (*at < pattern.length && pattern.at[*at] != ']') {
    if (pattern.at[*at] == '\\') {
      size.expanded += pass_escape(pattern, at).expanded;
    } else if (pattern.at[*at] == '[' && *at + 1 < pattern.length && pattern.at[*at + 1] == ':') {
      (*at) += 2;
      while (*at < pattern.length && pattern.at[*at] != ']') (*at)++;
      (*at)++;
    } else {
      (*at)++;
    }
  }
  (*at)++;
  return size;
}

static void add(struct size *into, struct size size) {
  into->plain += size.plain;
  into->expanded += size.expanded;
}

/* Saturates: sizes stay far from 64 bits. */
static struct size repeat(struct size size, uint32_t copies) {
  if (copies <= 1) return size;
  const uint64_t whole = size.plain + size.expanded;
  return (struct size){.expanded = whole > UINT32_MAX ? UINT32_MAX : whole * copies};
}

/* A reading good enough to weigh a pattern; Hyperscan itself judges whether it is well-formed. */
uint32_t pattern_expansion(struct image_text pattern) {
  struct size groups[PATTERN_GROUPS_MAX + 1] = {0};
  uint32_t depth = 0;
  for (uint32_t at = 0; at < pattern.length;) {
    struct size atom = {.plain = 1};
    const char character = pattern.at[at];
    if (character == '(') {
      if (depth == PATTERN_GROUPS_MAX) return UINT32_MAX;
      groups[++depth] = (struct size){0};
      at++;
      continue;
    }
    if (character == ')' && depth > 0) {
      atom = groups[depth--];
      at++;
    } else if (character == '\\') {
      atom = pass_escape(pattern, &at);
    } else if (character == '[') {
      atom = pass_class(pattern, &at);
    } else {
      if (character == '|') atom.plain = 0;
      if (character == '^' || character == '$') atom.plain = ASSERTION_SIZE;
      at++;
    }
    uint32_t copies = 1;
    while (at < pattern.length && strchr("{?*+", pattern.at[at]) && pattern.at[at]) {
      const uint32_t before = at;
      if (pattern.at[at] == '{') {
        const uint32_t more = read_quantifier(pattern, &at);
        copies = copies < UINT32_MAX / (more + 1) ? copies * more : UINT32_MAX;
      } else {
        at++;
      }
      if (at == before) break;
    }
    add(&groups[depth], repeat(atom, copies));
  }
  uint64_t total = 0;
  for (uint32_t i = 0; i <= depth; i++) total += groups[i].expanded;
  return total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
}

bool pattern_check(const struct expression_context *context, const struct literal *literal) {
  const struct image_text pattern = {.at = literal->value.text, .length = literal->value.length};
  if (pattern.length > PATTERN_BYTES_MAX) {
    expression_error(context, literal->offset, "a regular expression has at most %u bytes; this has %u", PATTERN_BYTES_MAX,
                     pattern.length);
    return false;
  }
  if (memchr(pattern.at, '\0', pattern.length)) {
    expression_error(context, literal->offset, "a regular expression cannot hold the character \\u0000");
    return false;
  }
  const uint32_t expansion = pattern_expansion(pattern);
  if (expansion > PATTERN_EXPANSION_MAX) {
    expression_error(context, literal->offset,
                     "this regular expression repeats too much: its bounded repeats make %u%s copies, %u are allowed", expansion,
                     expansion == UINT32_MAX ? " or more" : "", PATTERN_EXPANSION_MAX);
    return false;
  }
  hs_expr_info_t *information = NULL;
  hs_compile_error_t *failure = NULL;
  const hs_error_t result =
      hs_expression_info(pattern.at, HS_FLAG_UTF8 | HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY, &information, &failure);
  if (result != HS_SUCCESS)
    expression_error(context, literal->offset, "not a regular expression that can be used: %s",
                     failure ? failure->message : "unknown failure");
  hs_free_compile_error(failure);
  free(information);
  return result == HS_SUCCESS;
}
