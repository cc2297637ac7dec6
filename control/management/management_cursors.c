/* Cursors over the API, and violations read from where one is. */
#include "json_cursors.h"
#include "management_internal.h"
#include "management_rules_internal.h"
#include <stdlib.h>
#include <string.h>

#define READ_LIMIT_DEFAULT 1000u
#define READ_LIMIT_MAX 100000u
#define READ_BYTES_MAX (16u << 20) /* of text, so that an answer stays bounded whatever violations hold */
#define WAIT_MAX_NS 30000000000ull

enum MHD_Result handle_cursors_list(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  json_t *json = json_cursors(appliance);
  return json ? answer_json(request, 200, json_pack("{s:o}", "cursors", json)) : MHD_NO;
}

static enum MHD_Result answer_unknown(struct management_request *request) {
  return answer_error(request, 404, "not_found", "no such cursor");
}

enum MHD_Result handle_cursor(struct management_request *request, const char *name) {
  struct cursor_view view;
  if (!cursor_table_find(request->appliance->cursors(request->appliance->context), name, &view)) return answer_unknown(request);
  return answer_json(request, 200, json_cursor(request->appliance, &view));
}

/* Where: "now", "oldest", or an LSN. False: none of them. */
static bool read_place(const json_t *value, struct cursor_request *change) {
  const char *word = json_string_value(value);
  change->place = CURSOR_AT_LSN;
  if (json_is_integer(value) && json_integer_value(value) >= 0) {
    change->lsn = (uint64_t)json_integer_value(value);
    return true;
  }
  change->place = word && strcmp(word, "now") == 0 ? CURSOR_AT_NOW : CURSOR_AT_OLDEST;
  return word && (change->place == CURSOR_AT_NOW || strcmp(word, "oldest") == 0);
}

/* What is wrong with the body, or NULL. */
static const char *read_body(const json_t *body, struct cursor_request *change) {
  const char *key;
  json_t *value;
  if (!json_is_object(body)) return "the body must be a JSON object such as {\"lsn\":N}";
  change->place = CURSOR_STAY;
  json_object_foreach((json_t *)(uintptr_t)body, key, value) {
    const char *word = json_string_value(value);
    if (strcmp(key, "lsn") == 0) {
      if (!read_place(value, change)) return "lsn is a number, \"now\" or \"oldest\"";
    } else if (strcmp(key, "expected_lsn") == 0) {
      if (!json_is_integer(value) || json_integer_value(value) < 0) return "expected_lsn is a number";
      change->expected = true;
      change->expected_lsn = (uint64_t)json_integer_value(value);
    } else if (strcmp(key, "hold") == 0) {
      if (!json_is_boolean(value)) return "hold is true or false";
      change->holds = json_is_true(value);
    } else if (strcmp(key, "kind") == 0) {
      for (int kind = 0; word && kind < CURSOR_KINDS; kind++)
        if (strcmp(word, cursor_kind_word((unsigned)kind)) == 0) change->kind = kind;
      if (change->kind < 0) return "kind is tail or sink";
    } else {
      return "a cursor takes lsn, expected_lsn, hold and kind";
    }
  }
  return NULL;
}

static enum MHD_Result answer_change(struct management_request *request, enum cursor_result result,
                                     const struct cursor_view *view) {
  static const struct {
    unsigned status;
    const char *code, *message;
  } refusals[] = {
      [CURSOR_UNKNOWN] = {404, "not_found", "no such cursor"},
      [CURSOR_BAD_NAME] = {400, "name",
                           "a cursor's name is 1 to 63 letters, digits, '.', '_' and '-', the first a letter or digit"},
      [CURSOR_NO_ROOM] = {409, "full", "there are 256 cursors already: delete one"},
      [CURSOR_BEYOND] = {409, "beyond", "that LSN is not durable yet"},
      [CURSOR_BACKWARDS] = {409, "backwards", "the cursor is further on already: only a reset takes it back"},
      [CURSOR_NOT_THERE] = {409, "moved", "the cursor is not at the expected LSN: does someone else read with it?"},
      [CURSOR_REMOVED] = {410, "removed", "retention has removed that LSN: \"oldest\" is the first that is kept"},
      [CURSOR_NOT_DURABLE] = {503, "not_durable", "the journal does not make it durable now; it may become so later"},
  };
  if (result == CURSOR_OK || result == CURSOR_MADE)
    return answer_json(request, result == CURSOR_MADE ? 201 : 200, json_cursor(request->appliance, view));
  return answer_error(request, refusals[result].status, refusals[result].code, refusals[result].message);
}

static enum MHD_Result change_cursor(struct management_request *request, const char *name, enum cursor_action action) {
  struct cursor_request change = {.action = action, .name = name, .place = CURSOR_STAY, .kind = -1, .holds = -1};
  struct cursor_view view;
  char who[RULE_WHO_BYTES];
  _Static_assert(RULE_WHO_BYTES <= CURSOR_WHO_BYTES, "all of it is kept");
  json_t *body = NULL;
  if (action != CURSOR_DELETE) {
    body = json_loadb(request->body ? request->body : "", request->body_length, 0, NULL);
    const char *wrong = read_body(body, &change);
    if (!wrong && action == CURSOR_RESET && change.place == CURSOR_STAY) wrong = "a reset needs lsn";
    json_decref(body);
    if (wrong) return answer_error(request, 400, "malformed", wrong);
  }
  request_who(request, who);
  change.who = who;
  const enum cursor_result result = cursor_table_change(request->appliance->cursors(request->appliance->context), &change, &view);
  return answer_change(request, result, &view);
}

/* A new one without an LSN begins now. */
enum MHD_Result handle_cursor_put(struct management_request *request, const char *name) {
  return change_cursor(request, name, CURSOR_SET);
}

enum MHD_Result handle_cursor_reset(struct management_request *request, const char *name) {
  return change_cursor(request, name, CURSOR_RESET);
}

enum MHD_Result handle_cursor_delete(struct management_request *request, const char *name) {
  return change_cursor(request, name, CURSOR_DELETE);
}

struct listing {
  json_t *list;
  const char *node;
  size_t bytes;
};

static bool add_violation(void *context, uint64_t lsn, const struct violation *violation) {
  struct listing *listing = context;
  json_t *json = json_violation(violation, lsn, listing->node);
  json_array_append_new(listing->list, json);
  listing->bytes += json_dumpb(json, NULL, 0, JSON_COMPACT);
  return listing->bytes < READ_BYTES_MAX;
}

static enum MHD_Result answer_gap(struct management_request *request, const struct cursor_view *view, uint64_t from,
                                  uint64_t to) {
  char correlation[40];
  correlation_text(correlation);
  return answer_json(
      request, 410,
      json_pack("{s:s, s:s, s:{s:I, s:I}, s:s, s:I, s:s}", "code", "gap", "message",
                "retention has removed records that this cursor had not had; acknowledge the gap's last LSN to go on", "gap",
                "from", (json_int_t)from, "to", (json_int_t)to, "cursor", view->cursor.name, "lsn", (json_int_t)view->cursor.lsn,
                "correlation_id", correlation));
}

/* What is wrong with the arguments, or NULL. */
static const char *read_arguments(const struct management_request *request, uint64_t *limit, uint64_t *wait_ns) {
  static const char *const filters[] = {"rule", "severity", "trace", "service", "source",
                                        "id",   "since",    "until", "after",   "order"};
  const char *text = request_argument(request, "limit"), *wait = request_argument(request, "wait");
  uint64_t seconds = 0;
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
    if (request_argument(request, filters[i]))
      return "a cursor reads all violations, oldest first: only limit and wait go with it";
  *limit = READ_LIMIT_DEFAULT;
  if (text && !request_number(text, 1, READ_LIMIT_MAX, limit)) return "limit is a number from 1 to 100000";
  if (wait && !request_number(wait, 0, WAIT_MAX_NS / 1000000000u, &seconds)) return "wait is a number of seconds from 0 to 30";
  *wait_ns = seconds * 1000000000u;
  return NULL;
}

enum MHD_Result handle_violations_of_cursor(struct management_request *request, const char *node) {
  const struct appliance *appliance = request->appliance;
  struct cursor_reading reading;
  struct cursor_view view;
  uint64_t limit, wait_ns;
  const char *wrong = read_arguments(request, &limit, &wait_ns);
  if (wrong) return answer_error(request, 400, "argument", wrong);
  if (!cursor_table_find(appliance->cursors(appliance->context), request_argument(request, "cursor"), &view))
    return answer_unknown(request);
  if (view.gap_to) return answer_gap(request, &view, view.gap_from, view.gap_to);
  struct listing listing = {.list = json_array(), .node = node};
  const int result =
      appliance->cursor_read(appliance->context, view.cursor.lsn, (uint32_t)limit, wait_ns, add_violation, &listing, &reading);
  if (result < 0 || reading.gap_to) {
    json_decref(listing.list);
    if (result < 0) return answer_error(request, 503, "journal", "the journal cannot be read");
    return answer_gap(request, &view, reading.gap_from, reading.gap_to);
  }
  return answer_json(request, 200,
                     json_pack("{s:s, s:I, s:o, s:I, s:b}", "cursor", view.cursor.name, "lsn", (json_int_t)view.cursor.lsn,
                               "violations", listing.list, "position", (json_int_t)reading.position, "more", reading.more));
}
