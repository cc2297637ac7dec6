#include "hexadecimal.h"
#include "management_internal.h"
#include "text_buffer_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX 1000000u
#define TAIL_LIMIT 10000u

/* What is wrong with the arguments, or NULL. */
static const char *read_filter(const struct management_request *request, struct violation_filter *filter) {
  const char *severity = request_argument(request, "severity"), *trace = request_argument(request, "trace");
  const char *since = request_argument(request, "since"), *until = request_argument(request, "until");
  const char *limit = request_argument(request, "limit"), *after = request_argument(request, "after");
  const char *source = request_argument(request, "source"), *id = request_argument(request, "id");
  const char *order = request_argument(request, "order");
  uint64_t number = LIMIT_DEFAULT;
  *filter = (struct violation_filter){
      .rule = request_argument(request, "rule"), .service = request_argument(request, "service"), .severity = -1, .source = -1};
  for (unsigned i = 0; source && i < 4; i++)
    if (strcmp(source, rule_on_word(i)) == 0) filter->source = (int)i;
  if (source && filter->source < 0) return "source is one of span, trace, webhook, alert";
  filter->has_id = id != NULL;
  if (id && !argument_uuid(id, filter->id)) return "id is a violation's id, 36 characters";
  filter->oldest_first = order && strcmp(order, "oldest") == 0;
  if (order && !filter->oldest_first && strcmp(order, "newest") != 0) return "order is newest or oldest";
  for (unsigned i = 0; severity && i < 5; i++)
    if (strcmp(severity, severity_word(i)) == 0) filter->severity = (int)i;
  if (severity && filter->severity < 0) return "severity is one of info, low, medium, high, critical";
  filter->has_trace_id = trace != NULL;
  if (trace && (strlen(trace) != 32 || !hex_decode(trace, 16, filter->trace_id))) return "trace is 32 hexadecimal digits";
  if (since && !parse_time(since, argument_now_ns(), &filter->since_ns))
    return "since is an RFC 3339 time, Unix seconds, or a duration such as 5m";
  if (until && !parse_time(until, argument_now_ns(), &filter->until_ns))
    return "until is an RFC 3339 time, Unix seconds, or a duration such as 5m";
  if (limit && !argument_number(limit, 1, LIMIT_MAX, &number)) return "limit is a number from 1 to 1000000";
  filter->limit = (uint32_t)number;
  if (after && !argument_number(after, 1, INT64_MAX, filter->oldest_first ? &filter->after_lsn : &filter->before_lsn))
    return "after is the cursor of an answer before";
  return NULL;
}

/* What an answer does not hold: `index_complete` false while the log of earlier runs is still read into the index, and
 * `index_from`, the oldest violation that can be given, when older ones have left. From before the query, so that it never
 * promises too much. */
static void say_extent(json_t *answer, const struct appliance_index *index) {
  const struct violation_extent *extent = &index->extent;
  json_object_set_new(answer, "index_complete", json_boolean(index->complete));
  json_object_set_new(answer, "index_from",
                      extent->let_go == 0 ? json_null()
                                          : json_pack("{s:I, s:o}", "lsn", (json_int_t)extent->first_lsn, "time",
                                                      extent->count ? json_time(extent->first_wall_ns) : json_null()));
}

static bool add_violation(void *context, uint64_t lsn, const struct violation *violation) {
  struct answer_page *listing = context;
  if (!answer_page_takes(listing, lsn)) return false;
  json_array_append_new(listing->list, json_violation(violation, lsn, listing->node));
  return true;
}

enum MHD_Result handle_violations(struct management_request *request) {
  struct violation_filter filter;
  const bool of_cursor = request_argument(request, "cursor") != NULL;
  const char *wrong = of_cursor ? NULL : read_filter(request, &filter);
  if (wrong) return answer_error(request, 400, "argument", wrong);
  if (of_cursor) return handle_violations_of_cursor(request, request->appliance->node);
  struct violation_store *store = request->appliance->violations(request->appliance->context);
  struct appliance_index index;
  request->appliance->index(request->appliance->context, &index);
  struct answer_page listing = {.list = json_array(), .node = request->appliance->node, .room = filter.limit};
  filter.limit++; /* one more tells whether there are more */
  const int given = violation_store_query(store, &filter, add_violation, &listing);
  if (given < 0) {
    json_decref(listing.list);
    return answer_error(request, 503, "journal", "the journal cannot be read");
  }
  char cursor[24];
  snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)listing.last_lsn);
  json_t *json = json_pack("{s:o, s:o}", "violations", listing.list, "next", listing.more ? json_string(cursor) : json_null());
  say_extent(json, &index);
  return answer_json(request, 200, json);
}

#define BUCKET_DEFAULT_NS 3600000000000ull

/* "10s", "5m", "1h", "1d" */
static bool read_bucket(const char *text, uint64_t *bucket_ns) {
  static const struct {
    char unit;
    uint64_t seconds;
  } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  char *end = NULL;
  if (*text < '0' || *text > '9') return false;
  const unsigned long long number = strtoull(text, &end, 10);
  for (unsigned i = 0; i < 4; i++)
    if (end[0] == units[i].unit && end[1] == '\0' && number > 0 && number <= 36500) {
      *bucket_ns = number * units[i].seconds * 1000000000ull;
      return true;
    }
  return false;
}

static json_t *count_json(enum violation_group by, const struct violation_count *count) {
  json_t *key = by == VIOLATIONS_BY_SEVERITY ? json_string(severity_word(count->severity))
                : by == VIOLATIONS_BY_TIME   ? json_time(count->from_ns)
                                             : json_string(count->rule ? count->rule : "(other)");
  return json_pack("{s:o, s:I}", "key", key, "count", (json_int_t)count->count);
}

enum MHD_Result handle_violations_counts(struct management_request *request) {
  static const char *const words[] = {"rule", "severity", "time"};
  const char *by = request_argument(request, "by"), *bucket = request_argument(request, "bucket");
  struct violation_filter filter;
  struct violation_count *counts = NULL;
  size_t count = 0;
  uint64_t total = 0, bucket_ns = BUCKET_DEFAULT_NS;
  unsigned group = 0;
  const char *wrong = read_filter(request, &filter);
  if (wrong) return answer_error(request, 400, "argument", wrong);
  while (by && group < 3 && strcmp(by, words[group]) != 0) group++;
  if (group == 3) return answer_error(request, 400, "argument", "by is one of rule, severity, time");
  if (bucket && !read_bucket(bucket, &bucket_ns))
    return answer_error(request, 400, "argument", "bucket is a time such as 10s, 5m, 1h, 1d");
  struct violation_store *store = request->appliance->violations(request->appliance->context);
  struct appliance_index index;
  request->appliance->index(request->appliance->context, &index);
  const int result =
      violation_store_count_groups(store, &filter, (enum violation_group)group, bucket_ns, &counts, &count, &total);
  if (result == -E2BIG) return answer_error(request, 400, "argument", "more than 10000 groups: a longer bucket, or less time");
  if (result < 0) return MHD_NO;
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(list, count_json((enum violation_group)group, &counts[i]));
  free(counts);
  json_t *json = json_pack("{s:s, s:I, s:o}", "by", words[group], "total", (json_int_t)total, "counts", list);
  say_extent(json, &index);
  return answer_json(request, 200, json);
}

struct tail {
  struct text_buffer out;
  const char *node;
  uint64_t last_lsn;
};

static bool add_line(void *context, uint64_t lsn, const struct violation *violation) {
  struct tail *tail = context;
  json_t *json = json_violation(violation, lsn, tail->node);
  char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
  json_decref(json);
  if (text) text_append(&tail->out, "%s\n", text);
  free(text);
  tail->last_lsn = lsn;
  return true;
}

/* One object a line, oldest first; the header says where to go on. Without `after`: from now. */
enum MHD_Result handle_violations_tail(struct management_request *request) {
  const char *after = request_argument(request, "after");
  struct violation_filter filter = {.severity = -1, .source = -1, .oldest_first = true, .limit = TAIL_LIMIT};
  char position[24];
  if (after && !argument_number(after, 0, INT64_MAX, &filter.after_lsn))
    return answer_error(request, 400, "argument", "after is an LSN");
  struct violation_store *store = request->appliance->violations(request->appliance->context);
  struct tail tail = {.node = request->appliance->node, .last_lsn = filter.after_lsn};
  const uint64_t now_lsn = violation_store_last_lsn(store);
  const int given = after ? violation_store_query(store, &filter, add_line, &tail) : 0;
  if (given < 0 || tail.out.failed) {
    free(tail.out.text);
    return answer_error(request, 503, "journal", "the journal cannot be read");
  }
  if ((uint32_t)given < TAIL_LIMIT && now_lsn > tail.last_lsn) tail.last_lsn = now_lsn;
  snprintf(position, sizeof position, "%llu", (unsigned long long)tail.last_lsn);
  struct MHD_Response *response = MHD_create_response_from_buffer(tail.out.length, tail.out.text, MHD_RESPMEM_MUST_FREE);
  if (!response) return MHD_NO;
  MHD_add_response_header(response, "X-Tripline-Lsn", position);
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
  const enum MHD_Result queued = MHD_queue_response(request->connection, 200, response);
  MHD_destroy_response(response);
  return queued;
}
