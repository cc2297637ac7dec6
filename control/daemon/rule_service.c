/* The book of rules on this appliance: images for its shards, records in its journal. */
#include "daemon_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADOPT_WAIT_NS 5000000000ull

static int wait_adopted(struct daemon *daemon, uint64_t generation) {
  const uint64_t deadline_ns = monotonic_ns() + ADOPT_WAIT_NS;
  for (uint32_t i = 0; i < daemon->shard_count; i++)
    while (daemon->shards[i].thread && shard_generation(daemon->shards[i].shard) < generation) {
      if (monotonic_ns() > deadline_ns) return -ETIMEDOUT;
      usleep(100);
    }
  return 0;
}

static int compile_image(void *context, const struct rule_set *set, uint64_t generation, struct rule_errors *errors, void **image,
                         uint8_t sha256[32]) {
  struct daemon *daemon = context;
  struct rule_image *made = rule_image_compile(set, generation, daemon->rules.image, daemon->shard_count, errors);
  if (!made) return -EINVAL;
  if (!engine_image_fits(made, SHARD_COLUMN_CAPACITY)) {
    rule_image_free(made);
    return -EINVAL;
  }
  memcpy(sha256, made->sha256, sizeof made->sha256);
  *image = made;
  return 0;
}

static void discard_image(void *context, void *image) {
  (void)context;
  rule_image_free(image);
}

/* The old image is freed when no shard reads it any more; if one does not move on in time it is kept rather than risked. */
static void publish_image(void *context, void *made) {
  struct daemon *daemon = context;
  struct rule_image *image = made, *old_image = daemon->rules.image;
  pthread_mutex_lock(&daemon->rules.lock);
  daemon->rules.image = image;
  match_counts_begin(daemon, image);
  pthread_mutex_unlock(&daemon->rules.lock);
  atomic_store_explicit(&daemon->publication.image, image, memory_order_release);
  if (wait_adopted(daemon, image->generation) == 0) {
    pthread_mutex_lock(&daemon->rules.lock);
    if (old_image) match_counts_end(daemon, old_image, image);
    pthread_mutex_unlock(&daemon->rules.lock);
    if (old_image) rule_image_free(old_image);
  } else {
    log_error("rules", "a shard has not adopted generation %llu in time; the image before it is kept",
              (unsigned long long)image->generation);
  }
}

#define PUBLISH_BYTES (1u << 20) /* of a long stream at a time: the journal writes them while the next are filled */

struct written_stream {
  struct daemon *daemon;
  uint64_t position;
  uint32_t filled_bytes; /* not published yet: records_lock is held */
};

static void publish_filled(struct written_stream *stream) {
  stream->position = records_publish(stream->daemon);
  stream->filled_bytes = 0;
}

static void *reserve_record(void *context, uint32_t bytes) {
  struct written_stream *stream = context;
  if (stream->filled_bytes > 0) {
    void *record = record_ring_reserve(stream->daemon->control_records, bytes);
    stream->filled_bytes += bytes;
    if (record) return record;
    publish_filled(stream);
  }
  stream->filled_bytes = bytes;
  return records_reserve(stream->daemon, bytes, NULL);
}

static void record_filled(void *context, bool last) {
  struct written_stream *stream = context;
  if (last || stream->filled_bytes >= PUBLISH_BYTES) publish_filled(stream);
}

static int record_stream(void *context, enum rules_stream_kind kind, const void *bytes, size_t length, uint64_t time_ns,
                         const char *who) {
  struct daemon *daemon = context;
  struct written_stream stream = {.daemon = daemon};
  const struct rules_writer writer = {.context = &stream, .reserve = reserve_record, .filled = record_filled};
  if (journal_failed(daemon->journal)) return -EIO;
  if (journal_stalled(daemon->journal)) return journal_stalled(daemon->journal);
  const int written = rules_stream_write(&writer, kind, bytes, length, time_ns, who);
  if (written != 0) return written;
  /* A snapshot may count or not, and who writes it has other things to do; a change must be known to count, or not to. */
  return kind == RULES_STREAM_SNAPSHOT ? records_wait_durable(daemon, stream.position)
                                       : records_wait_settled(daemon, stream.position);
}

static uint64_t now(void *context) {
  (void)context;
  return wall_ns();
}

static void count_attempt(struct daemon *daemon, bool succeeded, uint64_t took_ns) {
  pthread_mutex_lock(&daemon->rules.lock);
  daemon->rules.reloads++;
  daemon->rules.reload_failures += !succeeded;
  daemon->rules.last_reload_succeeded = succeeded;
  daemon->rules.last_reload_ns = took_ns;
  daemon->rules.last_reload_wall_ns = wall_ns();
  pthread_mutex_unlock(&daemon->rules.lock);
}

static void log_errors(const struct rule_errors *errors) {
  for (size_t i = 0; i < errors->count; i++)
    log_error("rules", "%s:%u:%u: %s", errors->items[i].file, errors->items[i].line, errors->items[i].column,
              errors->items[i].message);
}

static void log_change(const struct rule_request *request, const struct rule_result *result) {
  const struct rule_set_difference *difference = &result->difference;
  log_info("rules", "generation %llu: %u rules (%zu added, %zu changed, %zu removed) after %s by %s",
           (unsigned long long)result->generation, result->rules, difference->added, difference->changed, difference->removed,
           rule_action_word(request->action), request->who);
}

static void configured_paths(const struct daemon *daemon, const char *paths[CONFIG_RULE_PATHS_MAX],
                             struct rule_request *request) {
  for (uint32_t i = 0; i < daemon->config.rule_path_count; i++) paths[i] = daemon->config.rule_paths[i];
  request->paths = paths;
  request->path_count = daemon->config.rule_path_count;
}

int rules_change(void *context, const struct rule_request *asked, struct rule_result *result) {
  struct daemon *daemon = context;
  const char *paths[CONFIG_RULE_PATHS_MAX];
  struct rule_request request = *asked;
  if (request.action == RULE_ACTION_RELOAD) configured_paths(daemon, paths, &request);
  const uint64_t before_ns = monotonic_ns();
  const int status = rule_book_change(daemon->rules.book, &request, result);
  count_attempt(daemon, status == 0, monotonic_ns() - before_ns);
  if (status == 0)
    log_change(&request, result);
  else
    log_warning("rules", "%s by %s changed nothing: %s", rule_action_word(request.action), request.who,
                result->refusal[0]         ? result->refusal
                : result->errors.count > 0 ? result->errors.items[0].message
                                           : strerror(-status));
  return status;
}

void rules_reload(struct daemon *daemon) {
  struct rule_result result;
  const struct rule_request request = {.action = RULE_ACTION_RELOAD, .who = "SIGHUP"};
  if (rules_change(daemon, &request, &result) != 0) log_error("rules", "the set before stays in force");
  log_errors(&result.errors);
  rule_result_free(&result);
}

int rules_create(struct daemon *daemon) {
  const struct rule_book_operations operations = {.context = daemon,
                                                  .compile = compile_image,
                                                  .discard = discard_image,
                                                  .record = record_stream,
                                                  .publish = publish_image,
                                                  .now = now};
  pthread_mutex_init(&daemon->rules.lock, NULL);
  daemon->rules.book = rule_book_create(&operations, RULE_HISTORY_BYTES_DEFAULT);
  return 0;
}

/* What the journal holds wins over rules.files: it is what was applied last. */
int rules_start(struct daemon *daemon) {
  struct rule_result result;
  const char *paths[CONFIG_RULE_PATHS_MAX];
  int status = rule_book_recovered(daemon->rules.book, &result);
  if (result.refusal[0]) log_error("rules", "%s", result.refusal);
  if (status == 1) {
    log_info("rules", "generation %llu: %u rules from the journal", (unsigned long long)result.generation, result.rules);
    status = 0;
  } else if (status == 0) {
    struct rule_request request = {.action = RULE_ACTION_START, .who = "rules.files"};
    configured_paths(daemon, paths, &request);
    status = rule_book_change(daemon->rules.book, &request, &result);
    if (status == 0) log_change(&request, &result);
    if (status != 0 && result.refusal[0]) log_error("rules", "%s", result.refusal);
  }
  pthread_mutex_lock(&daemon->rules.lock);
  daemon->rules.last_reload_succeeded = status == 0;
  daemon->rules.last_reload_wall_ns = wall_ns();
  pthread_mutex_unlock(&daemon->rules.lock);
  log_errors(&result.errors);
  rule_result_free(&result);
  return status;
}

void rules_stop(struct daemon *daemon) {
  if (daemon->rules.image) rule_image_free(daemon->rules.image);
  free(daemon->rules.matches.at_start);
  rule_book_destroy(daemon->rules.book);
}

void rules_view(struct daemon *daemon, struct appliance_rules *rules) {
  struct rule_view view;
  *rules = (struct appliance_rules){0};
  rule_book_read(daemon->rules.book, &view);
  const struct rule_ledger_counters counters = rule_ledger_count(view.ledger);
  rules->generation = view.generation;
  rules->rules = view.set ? (uint32_t)rule_set_count(view.set) : 0;
  rules->enabled = view.enabled;
  memcpy(rules->in_state, view.in_state, sizeof rules->in_state);
  rules->failed = view.failure_count;
  rules->versions = counters.versions;
  rules->versions_forgotten = counters.versions_forgotten;
  rules->history_bytes = counters.history_bytes;
  for (unsigned i = 0; view.set && i < 32; i++) snprintf(rules->sha256 + 2 * i, 3, "%02x", view.sha256[i]);
  rule_book_release(daemon->rules.book);
  pthread_mutex_lock(&daemon->rules.lock);
  rules->last_reload_wall_ns = daemon->rules.last_reload_wall_ns;
  rules->last_reload_succeeded = daemon->rules.last_reload_succeeded;
  rules->last_reload_ns = daemon->rules.last_reload_ns;
  rules->reloads = daemon->rules.reloads;
  rules->reload_failures = daemon->rules.reload_failures;
  pthread_mutex_unlock(&daemon->rules.lock);
}
