#include "appliance_double.h"
#include "cmocka_test.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char rules_text[] =
    "rules:\n"
    "  - name: first\n    on: span\n    if: name = \"a\"\n    tags: [one, two]\n"
    "  - name: second\n    when: '{name = \"b\"}'\n    always: '{name = \"c\"}'\n    enabled: false\n";

static int snapshot(void *context, struct appliance_snapshot *into) {
  *into = ((struct appliance_double *)context)->snapshot;
  return 0;
}

static void rules_read(void *context, struct rule_view *view) {
  struct appliance_double *appliance = context;
  atomic_fetch_add(&appliance->reads, 1);
  rule_book_read(appliance->book, view);
}

static bool rule_matches(void *context, const struct rule_definition *rule, uint64_t *matches, bool *own_series) {
  const struct appliance_double *appliance = context;
  *matches = rule->mode == RULE_SHADOW ? 7 : 39 + rule->version;
  *own_series = appliance->rules_in_others == 0 || strcmp(rule->name, appliance->rules_in_others) != 0;
  return rule->enabled;
}

static void rule_matches_gone(void *context, uint64_t gone[RULE_MODES]) {
  memcpy(gone, ((struct appliance_double *)context)->matches_gone, RULE_MODES * sizeof *gone);
}

static void rules_release(void *context) {
  struct appliance_double *appliance = context;
  atomic_fetch_add(&appliance->releases, 1);
  rule_book_release(appliance->book);
}

static int rules_change(void *context, const struct rule_request *request, struct rule_result *result) {
  struct appliance_double *appliance = context;
  appliance->changes++;
  snprintf(appliance->changed_who, sizeof appliance->changed_who, "%s", request->who);
  return rule_book_change(appliance->book, request, result);
}

static int compile(void *context, const struct rule_set *set, uint64_t generation, struct rule_errors *errors, void **image,
                   uint8_t sha256[32]) {
  (void)context;
  struct rule_image *made = rule_image_compile(set, generation, NULL, 0, errors);
  if (!made) return -EINVAL;
  memcpy(sha256, made->sha256, 32);
  *image = made;
  return 0;
}

static void let_go(void *context, void *image) {
  (void)context;
  rule_image_free(image);
}

static int record(void *context, enum rules_stream_kind kind, const void *bytes, size_t length, uint64_t wall_ns,
                  const char *who) {
  (void)kind, (void)bytes, (void)length, (void)wall_ns, (void)who;
  return ((struct appliance_double *)context)->record_result;
}

static uint64_t now(void *context) { return 1700000000000000000u + ((struct appliance_double *)context)->changes; }

static struct rule_book *make_book(struct appliance_double *appliance) {
  struct rule_result result;
  const struct rule_book_operations operations = {
      .context = appliance, .compile = compile, .discard = let_go, .record = record, .publish = let_go, .now = now};
  const struct rule_text text = {.name = "rules.yaml", .text = rules_text, .length = sizeof rules_text - 1};
  const struct rule_request start = {.action = RULE_ACTION_START, .texts = &text, .text_count = 1, .who = "test"};
  struct rule_book *book = rule_book_create(&operations, RULE_HISTORY_BYTES_DEFAULT);
  assert_int_equal(rule_book_change(book, &start, &result), 0);
  rule_result_free(&result);
  return book;
}

static int journal_flush(void *context, uint64_t *durable_lsn) {
  struct appliance_double *appliance = context;
  *durable_lsn = journal_durable_lsn(appliance->journal.journal);
  return appliance->flush_result;
}

static int certificates_reload(void *context, char *error, size_t room) {
  struct appliance_double *appliance = context;
  appliance->certificate_reloads++;
  if (appliance->reload_result != 0) snprintf(error, room, "webhooks: server.key: the key is not the certificate's");
  return appliance->reload_result;
}

static bool starting(void *context, struct appliance_start *start) {
  *start = ((struct appliance_double *)context)->start;
  return start->phase != APPLIANCE_RUNNING;
}

static void index_view(void *context, struct appliance_index *index) {
  const struct appliance_double *appliance = context;
  *index = appliance->snapshot.journal.index;
  index->extent = violation_store_extent(appliance->violations);
}

static struct violation_store *violations(void *context) { return ((struct appliance_double *)context)->violations; }

static uint64_t durable_lsn(void *context) { return journal_durable_lsn(((struct appliance_double *)context)->journal.journal); }

/* Each record is durable at once. */
static bool publish_cursor(void *context, const void *record, uint32_t bytes, uint64_t *position) {
  struct appliance_double *appliance = context;
  struct record_ring *ring = appliance->journal.config.rings[0];
  void *room = record_ring_reserve(ring, bytes);
  assert_non_null(room);
  memcpy(room, record, bytes);
  *position = record_ring_publish(ring);
  return journal_drain(appliance->journal.journal, appliance->journal.now_ns, appliance->journal.wall_ns) == 0;
}

static bool is_durable(void *context, uint64_t position) {
  return record_ring_durable(((struct appliance_double *)context)->journal.config.rings[0]) >= position;
}

static int wait_durable(void *context, uint64_t position) { return is_durable(context, position) ? 0 : -ETIMEDOUT; }

static int journal_trouble(void *context) { return ((struct appliance_double *)context)->journal_trouble; }

/* No cursor has to wait for its next record. */
static uint64_t much_later(void *context) { return ((struct appliance_double *)context)->journal.now_ns += 1000000000; }

static uint64_t wall_now(void *context) { return ((struct appliance_double *)context)->journal.wall_ns; }

static void no_pause(void *context, uint64_t ns) { (void)context, (void)ns; }

static int cursor_read(void *context, uint64_t after_lsn, uint32_t limit, uint64_t wait_ns,
                       bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *each_context,
                       struct cursor_reading *reading) {
  struct appliance_double *appliance = context;
  (void)wait_ns;
  return cursor_readers_read(appliance->cursor_readers, after_lsn, durable_lsn(appliance), limit, each, each_context, reading);
}

static struct cursor_table *cursors(void *context) { return ((struct appliance_double *)context)->cursors; }

static void open_cursors(struct appliance_double *appliance) {
  const struct cursor_journal journal = {.context = appliance,
                                         .publish = publish_cursor,
                                         .is_durable = is_durable,
                                         .wait_durable = wait_durable,
                                         .durable_lsn = durable_lsn,
                                         .trouble = journal_trouble,
                                         .now_ns = much_later,
                                         .wall_ns = wall_now,
                                         .pause = no_pause};
  appliance->face.cursors = cursors;
  appliance->cursors = cursor_table_create(&journal);
  appliance->face.cursor_read = cursor_read;
  appliance->face.cursor_stale_ns = 3600000000000;
  appliance->cursor_readers = cursor_readers_create(appliance->io);
  assert_non_null(appliance->cursors);
  assert_non_null(appliance->cursor_readers);
  cursor_table_recovered(appliance->cursors, 1);
}

static struct webhook_store *webhooks(void *context) { return ((struct appliance_double *)context)->webhooks; }

static void see(void *context, uint64_t lsn, const struct record_header *record, struct journal_position position) {
  webhook_store_see(context, lsn, record, position);
}

static uint32_t shard_count(void *context) { return ((struct appliance_double *)context)->snapshot.shard_count; }

/* Shard 1 recorded nothing; of shard 0 three events. */
static uint32_t blackbox(void *context, uint32_t shard, struct flight_event *events, uint32_t room) {
  (void)context;
  if (shard > 0) return 0;
  for (uint32_t i = 0; events && i < room && i < 3; i++)
    events[i] = (struct flight_event){.sequence = i,
                                      .wall_ns = 1700000000000000000 + i,
                                      .kind = i == 1 ? FLIGHT_RULES_ADOPTED : FLIGHT_DRAINING,
                                      .values = {i}};
  return 3;
}

void appliance_double_open(struct appliance_double *appliance) {
  memset(appliance, 0, sizeof *appliance);
  appliance->face = (struct appliance){
      .context = appliance,
      .starting = starting,
      .snapshot = snapshot,
      .rules_read = rules_read,
      .rules_release = rules_release,
      .rules_change = rules_change,
      .rule_matches = rule_matches,
      .rule_matches_gone = rule_matches_gone,
      .journal_flush = journal_flush,
      .certificates_reload = certificates_reload,
      .webhooks = webhooks,
      .shard_count = shard_count,
      .blackbox = blackbox,
      .violations = violations,
      .violations_as_they_are = violations,
      .index = index_view,
  };
  appliance->book = make_book(appliance);
  appliance->io =
      journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&appliance->journal, appliance->io, 1);
  assert_int_equal(rig_open(&appliance->journal), 0);
  appliance->violations = violation_store_create(appliance->io, 1000);
  open_cursors(appliance);
  appliance->webhooks = webhook_store_create(appliance->io);
  assert_true(appliance->violations && appliance->webhooks);
  violation_store_observe(appliance->violations, see, appliance->webhooks);
  strcpy(appliance->face.node, "018f0000-0000-7000-8000-000000000000");
  appliance->start.phase = APPLIANCE_RUNNING;
  appliance->snapshot.version = "test";
  strcpy(appliance->snapshot.node, "018f0000-0000-7000-8000-000000000000");
  appliance->snapshot.shard_count = 2;
  appliance->snapshot.port_count = 1;
  strcpy(appliance->snapshot.ports[0].information.name, "trip");
  appliance->snapshot.ports[0].kind = "embedded";
  appliance->snapshot.live = appliance->snapshot.ready = true;
}

static void make_durable(struct appliance_double *appliance) {
  assert_int_equal(journal_drain(appliance->journal.journal, appliance->journal.now_ns, appliance->journal.wall_ns), 0);
  assert_int_equal(violation_store_catch_up(appliance->violations, journal_durable_lsn(appliance->journal.journal)), 0);
}

void appliance_double_add(struct appliance_double *appliance, const char *rule, uint32_t count) {
  struct record_ring *ring = appliance->journal.config.rings[0];
  for (uint32_t i = 0; i < count; i++) {
    const struct violation violation = {.wall_ns = (1700000000ull + i) * 1000000000,
                                        .rule = {rule, (uint32_t)strlen(rule)},
                                        .message = {"found", 5},
                                        .fixed = {.severity = SEVERITY_HIGH, .source = RULE_ON_SPAN, .count = 1}};
    void *record = record_ring_reserve(ring, violation_encoded_bytes(&violation));
    assert_non_null(record);
    violation_encode(&violation, record);
    record_ring_publish(ring);
  }
  make_durable(appliance);
}

void appliance_double_add_webhook(struct appliance_double *appliance, const struct webhook_fixture *webhook) {
  assert_true(webhook_fixture_publish(appliance->journal.config.rings[0], webhook));
  make_durable(appliance);
}

void appliance_double_close(struct appliance_double *appliance) {
  violation_store_destroy(appliance->violations);
  cursor_readers_destroy(appliance->cursor_readers);
  cursor_table_destroy(appliance->cursors);
  webhook_store_destroy(appliance->webhooks);
  rig_free(&appliance->journal);
  appliance->io->operations->destroy(appliance->io);
  rule_book_destroy(appliance->book);
}
