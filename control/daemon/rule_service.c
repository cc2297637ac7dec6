#include "daemon_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (32u * 1024u)
#define ADOPT_WAIT_NS 5000000000ull

/* A rule set in the journal: begin, chunks, commit. Only a committed one counts; who changed it is in its commit. */
struct rules_begin {
  struct record_header header;
  uint64_t set_id, total_bytes;
};

struct rules_chunk {
  struct record_header header;
  uint64_t set_id;
  uint32_t bytes, reserved;
  char text[];
};

struct rules_commit {
  struct record_header header;
  uint64_t set_id;
  char who[64];
};

static struct record_header header_of(uint16_t type, size_t bytes) {
  return (struct record_header){.type = type, .shard = RECORD_SHARD_CONTROL, .bytes = (uint32_t)bytes, .wall_ns = wall_ns()};
}

static bool reserve_set(struct record_ring *ring, const char *text, size_t length, uint64_t set_id, const char *who) {
  struct rules_begin *begin = record_ring_reserve(ring, sizeof *begin);
  if (!begin) return false;
  *begin = (struct rules_begin){.header = header_of(RECORD_RULES_BEGIN, sizeof *begin), .set_id = set_id, .total_bytes = length};
  for (size_t at = 0; at < length; at += CHUNK_BYTES) {
    const size_t bytes = length - at < CHUNK_BYTES ? length - at : CHUNK_BYTES;
    struct rules_chunk *chunk = record_ring_reserve(ring, (uint32_t)(sizeof *chunk + bytes));
    if (!chunk) return false;
    *chunk = (struct rules_chunk){
        .header = header_of(RECORD_RULES_CHUNK, sizeof *chunk + bytes), .set_id = set_id, .bytes = (uint32_t)bytes};
    memcpy(chunk->text, text + at, bytes);
  }
  struct rules_commit *commit = record_ring_reserve(ring, sizeof *commit);
  if (!commit) return false;
  *commit = (struct rules_commit){.header = header_of(RECORD_RULES_COMMIT, sizeof *commit), .set_id = set_id};
  snprintf(commit->who, sizeof commit->who, "%s", who);
  return true;
}

/* Returns when the set is durable. A set larger than the ring is refused, not half written. */
static int journal_set(struct daemon *daemon, const struct rule_set *set, uint64_t set_id, const char *who) {
  size_t length = 0;
  char *text = rule_set_text(set, &length);
  if (!text) return -ENOMEM;
  const bool reserved = reserve_set(daemon->control_records, text, length, set_id, who);
  free(text);
  if (!reserved) {
    record_ring_rollback(daemon->control_records);
    return -EFBIG;
  }
  return records_wait_durable(daemon, record_ring_publish(daemon->control_records));
}

int rules_journal_again(struct daemon *daemon) {
  pthread_mutex_lock(&daemon->rules.lock);
  const int result = daemon->rules.set ? journal_set(daemon, daemon->rules.set, wall_ns(), "snapshot") : 0;
  pthread_mutex_unlock(&daemon->rules.lock);
  return result;
}

static int wait_adopted(struct daemon *daemon, uint64_t generation) {
  const uint64_t deadline_ns = monotonic_ns() + ADOPT_WAIT_NS;
  for (uint32_t i = 0; i < daemon->shard_count; i++)
    while (daemon->shards[i].thread && shard_generation(daemon->shards[i].shard) < generation) {
      if (monotonic_ns() > deadline_ns) return -ETIMEDOUT;
      usleep(100);
    }
  return 0;
}

/* The old image is freed when no shard reads it any more; if one does not move on in time it is kept rather than risked. */
static void publish(struct daemon *daemon, struct rule_set *set, struct rule_image *image) {
  struct rule_image *old_image = daemon->rules.image;
  struct rule_set *old_set = daemon->rules.set;
  daemon->rules.image = image;
  daemon->rules.set = set;
  daemon->rules.generation = image->generation;
  match_counts_begin(daemon, image);
  atomic_store_explicit(&daemon->publication.image, image, memory_order_release);
  if (wait_adopted(daemon, image->generation) == 0) {
    if (old_image) match_counts_end(daemon, old_image, image);
    if (old_image) rule_image_free(old_image);
  } else {
    log_error("rules", "a shard has not adopted generation %llu in time; the image before it is kept",
              (unsigned long long)image->generation);
  }
  if (old_set) rule_set_free(old_set);
}

static void fill_result(const struct daemon *daemon, struct appliance_apply_result *result) {
  result->generation = daemon->rules.generation;
  result->rules = (uint32_t)rule_set_count(daemon->rules.set);
  for (unsigned i = 0; i < 32; i++) snprintf(result->sha256 + 2 * i, 3, "%02x", daemon->rules.image->sha256[i]);
}

/* Takes ownership of `set`. Under the lock. */
static int install(struct daemon *daemon, struct rule_set *set, bool journalled, const char *who, struct rule_errors *errors,
                   struct appliance_apply_result *result) {
  const uint64_t generation = daemon->rules.generation + 1;
  if (!journalled) rule_set_adopt_versions(set, daemon->rules.set);
  struct rule_image *image = rule_image_compile(set, generation, daemon->rules.image, daemon->shard_count, errors);
  if (!image || !engine_image_fits(image, SHARD_COLUMN_CAPACITY)) {
    if (image) rule_image_free(image);
    rule_set_free(set);
    return -EINVAL;
  }
  if (daemon->rules.set) {
    result->difference = rule_set_compare(set, daemon->rules.set);
  } else {
    result->difference.added = rule_set_count(set);
  }
  const int recorded = journalled ? 0 : journal_set(daemon, set, wall_ns(), who);
  if (recorded != 0) {
    log_error("rules", "the set is not applied: %s",
              recorded == -EFBIG ? "it is too large to be journalled" : "it cannot be made durable");
    rule_image_free(image);
    rule_set_free(set);
    return recorded;
  }
  publish(daemon, set, image);
  fill_result(daemon, result);
  log_info("rules", "generation %llu: %u rules (%zu added, %zu changed, %zu removed) by %s",
           (unsigned long long)result->generation, result->rules, result->difference.added, result->difference.changed,
           result->difference.removed, who);
  return 0;
}

static void complain_duplicate(struct rule_errors *errors, const char *file, const struct rule_definition *rule) {
  if (errors->count == errors->capacity) {
    const size_t capacity = errors->capacity ? 2 * errors->capacity : 8;
    struct rule_error *grown = realloc(errors->items, capacity * sizeof *grown);
    if (!grown) return;
    errors->items = grown;
    errors->capacity = capacity;
  }
  struct rule_error *error = &errors->items[errors->count++];
  *error = (struct rule_error){.line = rule->line, .column = 1};
  snprintf(error->file, sizeof error->file, "%s", file);
  snprintf(error->message, sizeof error->message, "rule '%.100s' is defined twice", rule->name);
}

/* The union of the files; a name that two of them give is an error. All errors of all files are gathered. */
static struct rule_set *parse_files(const struct appliance_file *files, size_t file_count, struct rule_errors *errors) {
  struct rule_set *all = NULL;
  for (size_t i = 0; i < file_count; i++) {
    struct rule_set *one = rule_set_parse(files[i].name, files[i].text, files[i].length, errors);
    if (!one) continue;
    for (size_t r = 0; all && r < rule_set_count(one); r++)
      if (rule_set_find(all, rule_set_at(one, r)->name)) complain_duplicate(errors, files[i].name, rule_set_at(one, r));
    struct rule_set *both = all ? rule_set_merge(all, one) : one;
    if (all) {
      rule_set_free(all);
      rule_set_free(one);
    }
    all = both;
  }
  if (errors->count == 0) return all;
  if (all) rule_set_free(all);
  return NULL;
}

static struct rule_set *load_configured(struct daemon *daemon, struct rule_errors *errors) {
  const char *paths[CONFIG_RULE_PATHS_MAX];
  for (uint32_t i = 0; i < daemon->config.rule_path_count; i++) paths[i] = daemon->config.rule_paths[i];
  return rule_set_load(paths, daemon->config.rule_path_count, errors);
}

int rules_apply(void *context, const struct appliance_file *files, size_t file_count, bool merge, const char *who,
                struct rule_errors *errors, struct appliance_apply_result *result) {
  struct daemon *daemon = context;
  pthread_mutex_lock(&daemon->rules.lock);
  struct rule_set *set = file_count ? parse_files(files, file_count, errors) : load_configured(daemon, errors);
  if (set && merge && daemon->rules.set) {
    struct rule_set *merged = rule_set_merge(daemon->rules.set, set);
    rule_set_free(set);
    set = merged;
  }
  const int status = set ? install(daemon, set, false, who, errors, result) : -EINVAL;
  daemon->rules.reloads++;
  daemon->rules.last_reload_succeeded = status == 0;
  daemon->rules.last_reload_wall_ns = wall_ns();
  if (status != 0) daemon->rules.reload_failures++;
  pthread_mutex_unlock(&daemon->rules.lock);
  return status;
}

static void log_errors(const struct rule_errors *errors) {
  for (size_t i = 0; i < errors->count; i++)
    log_error("rules", "%s:%u:%u: %s", errors->items[i].file, errors->items[i].line, errors->items[i].column,
              errors->items[i].message);
}

void rules_reload(struct daemon *daemon) {
  struct rule_errors errors = {0};
  struct appliance_apply_result result = {0};
  if (rules_apply(daemon, NULL, 0, false, "SIGHUP", &errors, &result) != 0) log_error("rules", "the set before stays in force");
  log_errors(&errors);
  rule_errors_free(&errors);
}

/* What the journal holds wins over rules.files: it is what was applied last. */
int rules_start(struct daemon *daemon) {
  struct rule_errors errors = {0};
  struct appliance_apply_result result = {0};
  struct rules_recovery *recovery = &daemon->rules_recovery;
  const bool journalled = recovery->committed != NULL;
  pthread_mutex_lock(&daemon->rules.lock);
  struct rule_set *set = journalled ? rule_set_parse("journal", recovery->committed, recovery->committed_bytes, &errors)
                                    : load_configured(daemon, &errors);
  const int status = set ? install(daemon, set, journalled, journalled ? "journal" : "rules.files", &errors, &result) : -EINVAL;
  daemon->rules.last_reload_succeeded = status == 0;
  daemon->rules.last_reload_wall_ns = wall_ns();
  pthread_mutex_unlock(&daemon->rules.lock);
  log_errors(&errors);
  rule_errors_free(&errors);
  free(recovery->text);
  free(recovery->committed);
  recovery->text = recovery->committed = NULL;
  return status;
}

void rules_stop(struct daemon *daemon) {
  if (daemon->rules.image) rule_image_free(daemon->rules.image);
  if (daemon->rules.set) rule_set_free(daemon->rules.set);
  free(daemon->rules.matches.at_start);
}

static void recover_begin(struct rules_recovery *recovery, const struct rules_begin *begin) {
  free(recovery->text);
  recovery->text = begin->total_bytes <= CONFIG_RULE_SET_BYTES_MAX ? malloc(begin->total_bytes + 1) : NULL;
  recovery->set_id = begin->set_id;
  recovery->total_bytes = begin->total_bytes;
  recovery->got_bytes = 0;
}

static void recover_chunk(struct rules_recovery *recovery, const struct rules_chunk *chunk) {
  if (!recovery->text || chunk->set_id != recovery->set_id) return;
  if (chunk->bytes > chunk->header.bytes - sizeof *chunk || chunk->bytes > recovery->total_bytes - recovery->got_bytes) return;
  memcpy(recovery->text + recovery->got_bytes, chunk->text, chunk->bytes);
  recovery->got_bytes += chunk->bytes;
}

static void recover_commit(struct rules_recovery *recovery, const struct rules_commit *commit) {
  if (!recovery->text || commit->set_id != recovery->set_id || recovery->got_bytes != recovery->total_bytes) return;
  free(recovery->committed);
  recovery->committed = recovery->text;
  recovery->committed_bytes = recovery->total_bytes;
  recovery->text = NULL;
}

void rules_recover(struct daemon *daemon, const struct record_header *record) {
  struct rules_recovery *recovery = &daemon->rules_recovery;
  if (record->type == RECORD_RULES_BEGIN && record->bytes == sizeof(struct rules_begin))
    recover_begin(recovery, (const struct rules_begin *)record);
  if (record->type == RECORD_RULES_CHUNK && record->bytes >= sizeof(struct rules_chunk))
    recover_chunk(recovery, (const struct rules_chunk *)record);
  if (record->type == RECORD_RULES_COMMIT && record->bytes == sizeof(struct rules_commit))
    recover_commit(recovery, (const struct rules_commit *)record);
}
