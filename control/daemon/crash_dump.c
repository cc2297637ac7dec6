/* The last act of a process that dies of SIGSEGV, SIGABRT or one of our own assertions: the flight recorders go to a file. All
 * that the handler calls is async-signal-safe; it allocates nothing and takes no lock. Shards that still run go on writing: what
 * is overwritten meanwhile is left out. */
#include "always_assert.h"
#include "daemon_internal.h"
#include "flight_text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES 65536
#define KEEP_DUMPS 8       /* of a daemon that is started again and again */
#define GIVE_UP_S 20       /* a disk that hangs does not keep a dead process from being started again */
#define FILE_BYTES_MAX 128 /* of a name */
static const char file_prefix[] = "blackbox-", file_suffix[] = ".json";

static const struct {
  int number;
  const char *name;
} deadly[] = {{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"},
              {SIGFPE, "SIGFPE"},   {SIGABRT, "SIGABRT"}, {SIGTRAP, "SIGTRAP"}};
#define DEADLY (sizeof deadly / sizeof *deadly)

static const struct daemon *daemon_dumped;
static int directory = -1;
static struct sigaction before[DEADLY];
static atomic_int dying; /* the thread that came first */
static char stacks[SHARDS_MAX + 1][STACK_BYTES];
static __thread int own_shard = -1;

static struct {
  int file;
  size_t used;
  char bytes[65536];
} out;

static void flush(void) {
  for (size_t at = 0; at < out.used;) {
    const ssize_t written = write(out.file, out.bytes + at, out.used - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    at += (size_t)written;
  }
  out.used = 0;
}

static void put(const char *text, size_t length) {
  if (out.used + length > sizeof out.bytes) flush();
  if (length > sizeof out.bytes) return;
  memcpy(out.bytes + out.used, text, length);
  out.used += length;
}
static void put_text(const char *text) { put(text, strlen(text)); }
static void put_number(uint64_t number) {
  char text[21];
  put(text, flight_number_text(number, text));
}
/* Our own source text: quotes and backslashes are all that needs care. */
static void put_quoted(const char *text) {
  put("\"", 1);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') put("\\", 1);
    put(text, 1);
  }
  put("\"", 1);
}

static uint64_t crash_wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void put_head(const char *reason, const void *address, uint64_t now_ns) {
  char time[31], node[37];
  flight_time_text(now_ns, time);
  uuid7_text(daemon_dumped->node_id, node);
  put_text("{\"blackbox\":1,\"version\":\"" TRIPLINE_VERSION "\",\"node\":\"");
  put_text(node);
  put_text("\",\"time\":\"");
  put_text(time);
  put_text("\",\"process\":");
  put_number((uint64_t)getpid());
  put_text(",\"signal\":");
  put_quoted(reason);
  put_text(",\"address\":");
  put_number((uint64_t)(uintptr_t)address);
  put_text(",\"shard\":");
  if (own_shard >= 0)
    put_number((uint64_t)own_shard);
  else
    put_text("null");
  put_text(",\"assertion\":");
  if (assert_failed_expression) {
    put_text("{\"expression\":");
    put_quoted(assert_failed_expression);
    put_text(",\"file\":");
    put_quoted(assert_failed_file);
    put_text(",\"line\":");
    put_number((uint64_t)assert_failed_line);
    put_text("}");
  } else {
    put_text("null");
  }
}

static void put_shards(void) {
  put_text(",\n\"shards\":[");
  for (uint32_t i = 0; i < daemon_dumped->shard_count; i++) {
    const struct flight_recorder *recorder = shard_flight_recorder(daemon_dumped->shards[i].shard);
    const struct flight_range range = recorder ? flight_range(recorder) : (struct flight_range){0, 0};
    put_text(i ? ",\n{\"shard\":" : "\n{\"shard\":");
    put_number(i);
    put_text(",\"steps\":");
    put_number(shard_heartbeat(daemon_dumped->shards[i].shard));
    put_text(",\"recorded\":");
    put_number(range.end);
    put_text(",\"overwritten\":");
    put_number(range.first);
    put_text("}");
  }
  put_text("],\n\"events\":[");
}

static void put_events(void) {
  const char *between = "\n";
  for (uint32_t i = 0; i < daemon_dumped->shard_count; i++) {
    const struct flight_recorder *recorder = shard_flight_recorder(daemon_dumped->shards[i].shard);
    const struct flight_range range = recorder ? flight_range(recorder) : (struct flight_range){0, 0};
    for (uint64_t sequence = range.first; sequence < range.end; sequence++) {
      struct flight_event event;
      char text[FLIGHT_TEXT_BYTES_MAX];
      if (!flight_read(recorder, sequence, &event)) continue;
      put_text(between);
      put(text, flight_text(&event, text));
      between = ",\n";
    }
  }
  put_text("\n]}\n");
}

/* blackbox-2026-11-21T15:04:05.123456789Z.json */
static void file_name(uint64_t now_ns, char name[FILE_BYTES_MAX]) {
  char time[31];
  flight_time_text(now_ns, time);
  memcpy(name, file_prefix, sizeof file_prefix - 1);
  memcpy(name + sizeof file_prefix - 1, time, 30);
  memcpy(name + sizeof file_prefix - 1 + 30, file_suffix, sizeof file_suffix);
}

static void dump(const char *reason, const void *address) {
  char name[FILE_BYTES_MAX];
  const uint64_t now_ns = crash_wall_ns();
  file_name(now_ns, name);
  out.file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (out.file < 0) return;
  put_head(reason, address, now_ns);
  put_shards();
  put_events();
  flush();
  fsync(out.file);
  close(out.file);
  fsync(directory);
}

/* Back to what the signal did before we came: it comes again, as the fault that it is or because it is sent once more. */
static void on_deadly(int number, siginfo_t *information, void *context) {
  (void)context;
  const int self = (int)syscall(SYS_gettid);
  int first = 0;
  size_t which = 0;
  while (which < DEADLY - 1 && deadly[which].number != number) which++;
  if (atomic_compare_exchange_strong(&dying, &first, self)) {
    alarm(GIVE_UP_S);
    dump(deadly[which].name, number == SIGSEGV || number == SIGBUS ? information->si_addr : NULL);
  } else if (first != self) {
    for (;;) pause(); /* the first one ends the process for both */
  }
  sigaction(number, &before[which], NULL);
  if (information->si_code <= 0) raise(number);
}

static int is_dump(const struct dirent *entry) {
  const size_t length = strlen(entry->d_name), fixed = sizeof file_prefix + sizeof file_suffix - 2;
  return length > fixed && strncmp(entry->d_name, file_prefix, sizeof file_prefix - 1) == 0 &&
         strcmp(entry->d_name + length - (sizeof file_suffix - 1), file_suffix) == 0;
}

/* Their names sort by time. */
static void look_at_old_dumps(const char *path) {
  struct dirent **entries = NULL;
  const int count = scandir(path, &entries, is_dump, alphasort);
  for (int i = 0; i < count; i++) {
    if (i < count - KEEP_DUMPS && unlinkat(directory, entries[i]->d_name, 0) != 0)
      log_warning("blackbox", "%s cannot be removed: %s", entries[i]->d_name, strerror(errno));
    if (i == count - 1) log_info("blackbox", "the last crash left %s/%s (tripline blackbox read)", path, entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
}

static void use_stack(unsigned index) {
  stack_t own = {.ss_sp = stacks[index], .ss_size = STACK_BYTES}, present;
  if (sigaltstack(NULL, &present) == 0 && (present.ss_flags & SS_DISABLE)) sigaltstack(&own, NULL);
}

void crash_dump_thread(unsigned shard) {
  own_shard = (int)shard;
  use_stack(shard + 1);
}

int crash_dump_install(struct daemon *daemon) {
  struct sigaction action = {.sa_sigaction = on_deadly, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  directory = open(daemon->config.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -errno;
  look_at_old_dumps(daemon->config.data_dir);
  if (!daemon->config.recorder.enabled) return 0;
  daemon_dumped = daemon;
  use_stack(0);
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < DEADLY; i++)
    if (sigaction(deadly[i].number, &action, &before[i]) != 0) return -errno;
  return 0;
}
