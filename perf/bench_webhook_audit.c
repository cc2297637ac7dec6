/* What the audit of webhooks costs: building and passing on a record of each form beside a plain copy of as many bytes; and
 * records of two headers and a body of 1 KiB through ring and journal onto a device, beside plain writes of the same batches, and
 * onto a disk that takes all at once, which leaves the CPU's part. Usage: bench_webhook_audit [DIRECTORY]. */
#include "bench.h"
#include "bench_files.h"
#include "heap_arena.h"
#include "journal.h"
#include "sha256_of_run.h"
#include "webhook_record.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES (16u << 20)
#define ROUNDS 5u
#define ROUND_NS 1000000000u
#define BATCH_BYTES (4u << 20)
#define RECORDS_A_ROUND 200000u

enum form { FORM_SHORT, FORM_VERDICT, FORM_HEADERS, FORM_BODY, FORMS };
static const char *const form_names[FORMS] = {"as before: no audit", "verdict and peer", "and two headers",
                                              "and a body of 1 KiB"};

struct material {
  enum form form;
  struct record_ring *ring;
  uint8_t body[1024], body_sha256[32];
};

/* On its core, so that what other processes take of a shared machine is left out. */
static uint64_t thread_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static struct event_text text_of(const char *text) { return (struct event_text){text, (uint32_t)strlen(text)}; }

/* As the shard does once a webhook is accepted. */
static bool publish(const struct material *material, uint64_t number, uint64_t now_ns) {
  struct webhook_account account;
  account.record = (struct webhook_record){.header = {.type = RECORD_WEBHOOK, .wall_ns = now_ns},
                                           .status = 200,
                                           .source_length = 6,
                                           .body_bytes = sizeof material->body,
                                           .source = "orders"};
  memcpy(account.record.correlation_id + 8, &number, sizeof number);
  memcpy(account.record.body_sha256, material->body_sha256, sizeof material->body_sha256);
  account.audited = material->form > FORM_SHORT;
  account.audit = (struct webhook_audit){.received_ns = now_ns, .generation = 1, .peer_port = 4242};
  account.header_bytes = 0;
  if (material->form >= FORM_HEADERS) {
    webhook_account_add_header(&account, text_of("content-type"), text_of("application/json"));
    webhook_account_add_header(&account, text_of("user-agent"), text_of("Shop-Webhooks/2.14 (+https://shop.example)"));
  }
  if (material->form >= FORM_BODY) {
    account.audit.flags = WEBHOOK_BODY_KEPT;
    account.audit.kept_bytes = sizeof material->body;
    account.body = material->body;
  }
  const uint32_t bytes = account.record.header.bytes = webhook_account_bytes(&account);
  void *room = record_ring_reserve(material->ring, bytes);
  if (!room) return false;
  webhook_account_write(&account, room);
  record_ring_publish(material->ring);
  return true;
}

static void make_body(struct material *material) {
  const int length =
      snprintf((char *)material->body, sizeof material->body, "{\"order\":{\"id\":\"o-1\",\"amount\":42},\"note\":\"");
  memset(material->body + length, 'n', sizeof material->body - (size_t)length - 2);
  memcpy(material->body + sizeof material->body - 2, "\"}", 2);
  sha256(material->body, sizeof material->body, material->body_sha256);
}

static double through_the_ring(void *context) {
  const struct material *material = context;
  struct webhook_account account;
  uint64_t checked = 0;
  const uint64_t start_ns = thread_ns();
  for (uint64_t i = 0; i < RECORDS_A_ROUND; i++) {
    uint32_t bytes;
    bench_check(publish(material, i, start_ns), "the ring is full");
    const void *record = record_ring_peek(material->ring, &bytes);
    if (i % 1024 == 0) {
      bench_check(webhook_account_read(record, bytes, &account) && account.audited == (material->form > FORM_SHORT) &&
                      (account.body != NULL) == (material->form == FORM_BODY),
                  "a wrong record came out of the ring");
      checked++;
    }
    record_ring_advance(material->ring);
  }
  bench_keep(checked);
  return (double)(thread_ns() - start_ns) / RECORDS_A_ROUND;
}

static double plain_copies(void *context) {
  const struct material *material = context;
  static const uint32_t form_bytes[FORMS] = {160, 216, 216 + 4 + 12 + 16 + 4 + 10 + 42, 216 + 4 + 12 + 16 + 4 + 10 + 42 + 1024};
  const uint32_t bytes = form_bytes[material->form];
  static uint8_t source[2048];
  const uint64_t start_ns = thread_ns();
  for (uint64_t i = 0; i < RECORDS_A_ROUND; i++) {
    uint32_t got;
    void *room = record_ring_reserve(material->ring, bytes);
    bench_check(room != NULL, "the ring is full");
    memcpy(room, source, bytes);
    record_ring_publish(material->ring);
    bench_keep((uint64_t)(uintptr_t)record_ring_peek(material->ring, &got));
    record_ring_advance(material->ring);
  }
  return (double)(thread_ns() - start_ns) / RECORDS_A_ROUND;
}

/* Writes of batches are over as soon as they are submitted; all else goes to the disk behind it. */
struct instant_disk {
  struct journal_io io;
  struct journal_io *inner;
  struct journal_io_completion over[JOURNAL_IO_IN_FLIGHT_MAX];
  uint32_t over_count;
};

static struct journal_io *inner_of(struct journal_io *io) { return ((struct instant_disk *)io)->inner; }
static int disk_open(struct journal_io *io, const char *name, bool create) {
  return inner_of(io)->operations->open(inner_of(io), name, create);
}
static int disk_close(struct journal_io *io, int file) { return inner_of(io)->operations->close(inner_of(io), file); }
static int64_t disk_size(struct journal_io *io, int file) { return inner_of(io)->operations->size(inner_of(io), file); }
static int disk_read(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  return inner_of(io)->operations->read(inner_of(io), file, buffer, bytes, offset);
}
static int disk_write(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset) {
  return inner_of(io)->operations->write_sync(inner_of(io), file, buffer, bytes, offset);
}
static int disk_sync(struct journal_io *io, int file) { return inner_of(io)->operations->sync(inner_of(io), file); }
static int disk_remove(struct journal_io *io, const char *name) { return inner_of(io)->operations->remove(inner_of(io), name); }
static int disk_list(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  return inner_of(io)->operations->list(inner_of(io), each, context);
}
static uint64_t disk_now(struct journal_io *io) { return inner_of(io)->operations->now(inner_of(io)); }
static void disk_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count) {
  inner_of(io)->operations->set_buffers(inner_of(io), buffers, count);
}
static int disk_submit(struct journal_io *io, const struct journal_io_request *request) {
  struct instant_disk *disk = (struct instant_disk *)io;
  const bool is_write = request->kind == JOURNAL_IO_WRITE_DURABLE || request->kind == JOURNAL_IO_WRITE;
  if (!is_write) return disk->inner->operations->submit(disk->inner, request);
  if (disk->over_count == JOURNAL_IO_IN_FLIGHT_MAX) return -11;
  disk->over[disk->over_count++] = (struct journal_io_completion){.token = request->token, .result = (int)request->bytes};
  return 0;
}
static int disk_reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  struct instant_disk *disk = (struct instant_disk *)io;
  uint32_t count = 0;
  while (count < most && disk->over_count > 0) completions[count++] = disk->over[--disk->over_count];
  if (count == most) return (int)count;
  const int more = disk->inner->operations->reap(disk->inner, completions + count, most - count, count ? 0 : wait_ns);
  return more < 0 ? more : (int)count + more;
}
static void disk_destroy(struct journal_io *io) {
  inner_of(io)->operations->destroy(inner_of(io));
  free(io);
}

static const struct journal_io_operations instant_operations = {.open = disk_open,
                                                                .close = disk_close,
                                                                .size = disk_size,
                                                                .read = disk_read,
                                                                .write_sync = disk_write,
                                                                .sync = disk_sync,
                                                                .remove = disk_remove,
                                                                .list = disk_list,
                                                                .now = disk_now,
                                                                .set_buffers = disk_set_buffers,
                                                                .submit = disk_submit,
                                                                .reap = disk_reap,
                                                                .destroy = disk_destroy};

static struct journal_io *make_disk(const char *directory, bool instant) {
  const char *why = "";
  int error = 0;
  struct journal_io *io = journal_io_uring_create(directory, &error, &why);
  if (!io) bench_fail(why);
  if (!instant) return io;
  struct instant_disk *disk = calloc(1, sizeof *disk);
  bench_check(disk != NULL, "no memory");
  *disk = (struct instant_disk){.io = {.operations = &instant_operations}, .inner = io};
  return &disk->io;
}

struct producer {
  struct material material;
  atomic_bool stop;
  uint64_t published;
};

static void *produce(void *argument) {
  struct producer *producer = argument;
  bench_pin(1);
  while (!atomic_load_explicit(&producer->stop, memory_order_relaxed)) {
    if (publish(&producer->material, producer->published, 1700000000000000000ull))
      producer->published++;
    else
      bench_pause();
  }
  return NULL;
}

struct oracle {
  uint64_t records;
  const struct material *material;
};

/* Of each 64th the body, too. */
static void check_record(void *context, uint64_t lsn, const struct record_header *record) {
  struct oracle *oracle = context;
  struct webhook_account account;
  uint64_t number;
  bench_check(webhook_account_read(record, record->bytes, &account) && account.audit.header_count == 2 &&
                  (account.body != NULL) == (oracle->material->form == FORM_BODY),
              "another record");
  memcpy(&number, account.record.correlation_id + 8, sizeof number);
  bench_check(number == oracle->records && lsn == oracle->records + 1, "a record is missing");
  if (account.body && number % 64 == 0)
    bench_check(memcmp(account.body, oracle->material->body, sizeof oracle->material->body) == 0, "another body");
  oracle->records++;
}

struct figures {
  double records, megabytes, batch_bytes, cpu_ns; /* cpu_ns: of the journal's thread, a record */
};

static struct journal *open_journal(struct journal_io *io, struct record_ring *ring, bool hash_chain, struct oracle *oracle) {
  struct journal_recovery recovery;
  int error;
  const struct journal_config config = {.io = io,
                                        .salt = 1,
                                        .segment_bytes = 256ull << 20,
                                        .batch_bytes_max = BATCH_BYTES,
                                        .segments_ahead = 8,
                                        .hash_chain = hash_chain,
                                        .ring_count = 1,
                                        .rings = {ring}};
  struct journal *journal = journal_open(&config, oracle ? check_record : NULL, oracle, &recovery, &error);
  if (!journal) bench_fail(recovery.refusal[0] ? recovery.refusal : "the journal does not open");
  return journal;
}

/* A shard's thread publishes as fast as there is room, another makes it durable, for a second. */
static struct figures through_the_journal(const char *directory, enum form form, bool instant, bool hash_chain) {
  struct heap_arena *arena = heap_arena_create();
  static struct producer producer;
  producer = (struct producer){.material = {.form = form, .ring = record_ring_create(heap_arena_arena(arena), RING_BYTES)}};
  make_body(&producer.material);
  struct journal_io *io = make_disk(directory, instant);
  struct journal *journal = open_journal(io, producer.material.ring, hash_chain, NULL);
  for (uint64_t until_ns = bench_now_ns() + 300000000; bench_now_ns() < until_ns;)
    bench_check(journal_step(journal, bench_now_ns(), 0, 1000000) >= 0, "the journal failed"); /* segments ahead are prepared */
  pthread_t thread;
  bench_check(pthread_create(&thread, NULL, produce, &producer) == 0, "a thread");
  const struct journal_counters *counters = journal_counters(journal);
  const uint64_t start_ns = bench_now_ns(), start_cpu_ns = thread_ns();
  uint64_t now_ns = start_ns;
  for (; now_ns - start_ns < ROUND_NS; now_ns = bench_now_ns())
    bench_check(journal_step(journal, now_ns, now_ns, 100000) >= 0, "the journal failed");
  const double seconds = (double)(now_ns - start_ns) / 1e9;
  const struct figures figures = {.records = (double)journal_durable_lsn(journal) / seconds,
                                  .megabytes = (double)counters->batch_bytes / seconds / 1e6,
                                  .batch_bytes = (double)counters->batch_bytes / (double)counters->batches,
                                  .cpu_ns = (double)(thread_ns() - start_cpu_ns) / (double)journal_durable_lsn(journal)};
  atomic_store(&producer.stop, true);
  pthread_join(thread, NULL);
  bench_check(journal_drain(journal, now_ns, now_ns) == 0 && journal_durable_lsn(journal) == producer.published,
              "what was published is not durable");
  journal_close(journal);
  if (!instant) {
    struct oracle oracle = {.material = &producer.material};
    struct journal *recovered = open_journal(io, producer.material.ring, hash_chain, &oracle);
    bench_check(oracle.records == producer.published, "records are missing after recovery");
    journal_close(recovered);
  }
  io->operations->destroy(io);
  heap_arena_destroy(arena);
  bench_remove_directory(directory);
  return figures;
}

/* Megabytes a second of durable writes of this size, one after another, into a file that was written before. */
static double plain_writes(const char *directory, double batch_bytes) {
  char path[300];
  snprintf(path, sizeof path, "%s.floor", directory);
  const size_t bytes = ((size_t)batch_bytes + 4095) / 4096 * 4096, file_bytes = 64u << 20;
  uint8_t *buffer = aligned_alloc(4096, bytes);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
  bench_check(buffer && file >= 0, "the floor's file");
  memset(buffer, 0x5a, bytes);
  struct iovec vector = {.iov_base = buffer, .iov_len = bytes};
  uint64_t start_ns = 0, now_ns = 0, written = 0;
  for (int measured = 0; measured < 2; measured++) { /* the first time round nothing is allocated yet */
    start_ns = now_ns = bench_now_ns();
    written = 0;
    for (size_t at = 0; measured ? now_ns - start_ns < ROUND_NS : at + bytes <= file_bytes; at += bytes) {
      if (at + bytes > file_bytes) at = 0;
      bench_check(pwritev2(file, &vector, 1, (off_t)at, RWF_DSYNC) == (ssize_t)bytes, "the floor's write");
      written += bytes;
      now_ns = bench_now_ns();
    }
  }
  close(file);
  unlink(path);
  free(buffer);
  return (double)written / ((double)(now_ns - start_ns) / 1e9) / 1e6;
}

static int compare_figures(const void *left, const void *right) {
  const double a = ((const struct figures *)left)->records, b = ((const struct figures *)right)->records;
  return a < b ? -1 : a > b;
}

static void bench_forms(void) {
  struct heap_arena *arena = heap_arena_create();
  static struct material material;
  material.ring = record_ring_create(heap_arena_arena(arena), 1u << 20);
  make_body(&material);
  bench_header();
  for (material.form = FORM_SHORT; material.form < FORMS; material.form++)
    bench_run(&(struct bench){.name = form_names[material.form],
                              .ours = through_the_ring,
                              .floor = plain_copies,
                              .floor_name = "memcpy of as much",
                              .context = &material,
                              .rounds = 15});
  heap_arena_destroy(arena);
}

int main(int count, char **arguments) {
  static const struct {
    const char *name;
    enum form form;
    bool instant, hash_chain;
  } runs[] = {
      {"1 KiB, device, hash chain", FORM_BODY, false, true},      {"1 KiB, device, checksums", FORM_BODY, false, false},
      {"1 KiB, no device, hash chain", FORM_BODY, true, true},    {"1 KiB, no device, checksums", FORM_BODY, true, false},
      {"no body, device, hash chain", FORM_HEADERS, false, true}, {"no body, device, checksums", FORM_HEADERS, false, false}};
  enum { RUNS = sizeof runs / sizeof *runs };
  static struct figures figures[RUNS][ROUNDS];
  static double floors[RUNS][ROUNDS];
  char base[240], directory[260];
  bench_forms();
  bench_make_directory(count > 1 ? arguments[1] : ".", base, sizeof base);
  snprintf(directory, sizeof directory, "%s/journal", base);
  bench_pin(0);
  for (uint32_t round = 0; round < ROUNDS; round++)
    for (uint32_t run = 0; run < RUNS; run++) {
      figures[run][round] = through_the_journal(directory, runs[run].form, runs[run].instant, runs[run].hash_chain);
      if (!runs[run].instant) floors[run][round] = plain_writes(directory, figures[run][round].batch_bytes);
    }
  bench_remove_directory(base);
  printf("\n%-28s %12s %24s %6s %12s %18s %14s %16s\n", "2 headers and", "webhooks/s", "least..most", "MB/s", "batch bytes",
         "plain writes, MB/s", "CPU ns a record", "a core could do");
  for (uint32_t run = 0; run < RUNS; run++) {
    double cpu_ns[ROUNDS];
    for (uint32_t round = 0; round < ROUNDS; round++) cpu_ns[round] = figures[run][round].cpu_ns;
    const struct bench_spread cpu = bench_spread_of(cpu_ns, ROUNDS), floor = bench_spread_of(floors[run], ROUNDS);
    qsort(figures[run], ROUNDS, sizeof figures[run][0], compare_figures);
    const struct figures *median = &figures[run][ROUNDS / 2];
    printf("%-28s %12.0f %11.0f..%11.0f %6.0f %12.0f %18.0f %15.0f %16.0f\n", runs[run].name, median->records,
           figures[run][0].records, figures[run][ROUNDS - 1].records, median->megabytes, median->batch_bytes, floor.median,
           cpu.median, 1e9 / cpu.median);
  }
  return 0;
}
