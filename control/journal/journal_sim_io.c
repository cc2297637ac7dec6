#include "journal_sim_io.h"
#include "always_assert.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 1024u
#define HANDLES_MAX 256u
#define NAME_CHANGES_MAX 256u
#define SECTOR_BYTES 512u
#define BLOCK_BYTES 4096u

struct sim_content {
  uint8_t *bytes;
  size_t length, room;
};

/* A file, whatever its name. `seen` is what reads return, `stable` what no crash can take. */
struct sim_file {
  struct sim_content seen, stable;
  char name[JOURNAL_IO_NAME_BYTES];        /* empty: none */
  char stable_name[JOURNAL_IO_NAME_BYTES]; /* after a crash, before `changes` are applied */
  bool used;
};

/* What happened to names since the directory was last synced, oldest first; a crash keeps a prefix. */
struct name_change {
  uint32_t file;
  char name[JOURNAL_IO_NAME_BYTES]; /* its new name; empty: removed */
};

struct sim_operation {
  struct journal_io_request request;
  uint64_t due_ns, sequence;
};

struct sim_io {
  struct journal_io io;
  struct journal_sim_io_options options;
  uint64_t random;
  uint64_t (*choose)(void *context, uint64_t bound); /* instead of chance */
  void *choose_context;
  uint64_t now_ns;
  uint64_t sequence;
  struct sim_file files[FILES_MAX];
  struct {
    uint32_t file;
    bool open;
  } handles[HANDLES_MAX];
  uint32_t boots; /* part of a handle, so that one from before a crash is recognised */
  struct name_change changes[NAME_CHANGES_MAX];
  uint32_t change_count;
  struct sim_operation operations[JOURNAL_IO_IN_FLIGHT_MAX];
  uint32_t operation_count;
  uint64_t cancelled[JOURNAL_IO_IN_FLIGHT_MAX]; /* tokens, by the crash */
  uint32_t cancelled_count;
};

static struct sim_io *sim_of(const struct journal_io *io) { return (struct sim_io *)(uintptr_t)io; }

static uint64_t random_next(struct sim_io *sim) {
  uint64_t z = (sim->random += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t random_below(struct sim_io *sim, uint64_t bound) {
  if (sim->choose) return bound < 2 ? 0 : sim->choose(sim->choose_context, bound);
  return bound ? random_next(sim) % bound : 0;
}

static int resize(struct sim_content *content, size_t length) {
  if (length > content->room) {
    size_t room = content->room ? content->room : BLOCK_BYTES;
    while (room < length) room *= 2;
    uint8_t *grown = realloc(content->bytes, room);
    if (!grown) return -ENOMEM;
    content->bytes = grown;
    content->room = room;
  }
  if (length > content->length) memset(content->bytes + content->length, 0, length - content->length);
  content->length = length;
  return 0;
}

static int put(struct sim_content *content, const void *bytes, size_t length, uint64_t offset) {
  if (offset + length > content->length) {
    const int result = resize(content, (size_t)offset + length);
    if (result < 0) return result;
  }
  if (length) memcpy(content->bytes + offset, bytes, length);
  return 0;
}

static bool has_room(const struct sim_io *sim, const struct sim_file *file, uint64_t length) {
  if (sim->options.capacity_bytes == 0 || length <= file->seen.length) return true;
  uint64_t used = length - file->seen.length;
  for (uint32_t i = 0; i < FILES_MAX; i++)
    if (sim->files[i].used && sim->files[i].name[0]) used += sim->files[i].seen.length;
  return used <= sim->options.capacity_bytes;
}

static struct sim_file *find(struct sim_io *sim, const char *name) {
  for (uint32_t i = 0; i < FILES_MAX; i++)
    if (sim->files[i].used && strcmp(sim->files[i].name, name) == 0) return &sim->files[i];
  return NULL;
}

static void release(struct sim_file *file) {
  free(file->seen.bytes);
  free(file->stable.bytes);
  memset(file, 0, sizeof *file);
}

static void sync_names(struct sim_io *sim) {
  sim->change_count = 0;
  for (uint32_t i = 0; i < FILES_MAX; i++) {
    struct sim_file *file = &sim->files[i];
    if (file->used) memcpy(file->stable_name, file->name, sizeof file->name);
  }
}

static void set_name(struct sim_io *sim, struct sim_file *file, const char *name) {
  ALWAYS_ASSERT(strlen(name) < sizeof file->name);
  /* A real filesystem commits its journal by itself, too. */
  if (sim->change_count == NAME_CHANGES_MAX) sync_names(sim);
  struct name_change *change = &sim->changes[sim->change_count++];
  memset(change, 0, sizeof *change);
  change->file = (uint32_t)(file - sim->files);
  strcpy(change->name, name);
  memset(file->name, 0, sizeof file->name);
  strcpy(file->name, name);
}

static struct sim_file *file_of(struct sim_io *sim, int handle) {
  const uint32_t index = (uint32_t)handle % HANDLES_MAX;
  if (handle < 0 || (uint32_t)handle / HANDLES_MAX != sim->boots || !sim->handles[index].open) return NULL;
  return &sim->files[sim->handles[index].file];
}

static struct sim_file *free_slot(struct sim_io *sim) {
  for (uint32_t i = 0; i < FILES_MAX; i++)
    if (!sim->files[i].used) return &sim->files[i];
  return NULL;
}

static bool is_open(const struct sim_io *sim, const struct sim_file *file) {
  for (uint32_t i = 0; i < HANDLES_MAX; i++)
    if (sim->handles[i].open && &sim->files[sim->handles[i].file] == file) return true;
  return false;
}

static struct sim_file *make_file(struct sim_io *sim) {
  struct sim_file *file = free_slot(sim);
  if (!file) {
    /* Removed files give their slots back once no crash can bring them back. */
    sync_names(sim);
    for (uint32_t i = 0; i < FILES_MAX; i++)
      if (!sim->files[i].name[0] && !is_open(sim, &sim->files[i])) release(&sim->files[i]);
    file = free_slot(sim);
  }
  if (file) file->used = true;
  return file;
}

static int sim_open(struct journal_io *io, const char *name, bool create) {
  struct sim_io *sim = sim_of(io);
  struct sim_file *file = find(sim, name);
  if (create && file) return -EEXIST;
  if (!create && !file) return -ENOENT;
  uint32_t handle = 0;
  while (handle < HANDLES_MAX && sim->handles[handle].open) handle++;
  if (handle == HANDLES_MAX) return -EMFILE;
  if (create) {
    file = make_file(sim);
    if (!file) return -ENOSPC;
    set_name(sim, file, name);
  }
  sim->handles[handle].open = true;
  sim->handles[handle].file = (uint32_t)(file - sim->files);
  return (int)(sim->boots * HANDLES_MAX + handle);
}

static int sim_close(struct journal_io *io, int handle) {
  struct sim_io *sim = sim_of(io);
  if (!file_of(sim, handle)) return -EBADF;
  sim->handles[(uint32_t)handle % HANDLES_MAX].open = false;
  return 0;
}

static int64_t sim_size(struct journal_io *io, int handle) {
  const struct sim_file *file = file_of(sim_of(io), handle);
  return file ? (int64_t)file->seen.length : -EBADF;
}

static int sim_read(struct journal_io *io, int handle, void *buffer, uint32_t bytes, uint64_t offset) {
  const struct sim_file *file = file_of(sim_of(io), handle);
  if (!file) return -EBADF;
  ALWAYS_ASSERT(offset % BLOCK_BYTES == 0 && bytes % BLOCK_BYTES == 0 && (uintptr_t)buffer % BLOCK_BYTES == 0);
  if (offset >= file->seen.length) return 0;
  const size_t left = file->seen.length - (size_t)offset;
  const size_t count = left < bytes ? left : bytes;
  memcpy(buffer, file->seen.bytes + offset, count);
  return (int)count;
}

static int write_durable(struct sim_io *sim, struct sim_file *file, const void *buffer, uint64_t bytes, uint64_t offset) {
  ALWAYS_ASSERT(offset % BLOCK_BYTES == 0 && bytes % BLOCK_BYTES == 0 && (uintptr_t)buffer % BLOCK_BYTES == 0);
  if (!has_room(sim, file, offset + bytes)) return -ENOSPC;
  const int result = put(&file->seen, buffer, (size_t)bytes, offset);
  return result < 0 ? result : put(&file->stable, buffer, (size_t)bytes, offset);
}

static int sim_write_sync(struct journal_io *io, int handle, const void *buffer, uint32_t bytes, uint64_t offset) {
  struct sim_file *file = file_of(sim_of(io), handle);
  if (!file) return -EBADF;
  const int result = write_durable(sim_of(io), file, buffer, bytes, offset);
  return result < 0 ? result : (int)bytes;
}

static int sync_file(struct sim_file *file) {
  const int result = resize(&file->stable, file->seen.length);
  return result < 0 ? result : put(&file->stable, file->seen.bytes, file->seen.length, 0);
}

static int sim_sync(struct journal_io *io, int handle) {
  struct sim_file *file = file_of(sim_of(io), handle);
  return file ? sync_file(file) : -EBADF;
}

static int sim_remove(struct journal_io *io, const char *name) {
  struct sim_file *file = find(sim_of(io), name);
  if (!file) return -ENOENT;
  set_name(sim_of(io), file, "");
  return 0;
}

static int sim_list(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  struct sim_io *sim = sim_of(io);
  for (uint32_t i = 0; i < FILES_MAX; i++) {
    char name[JOURNAL_IO_NAME_BYTES];
    memcpy(name, sim->files[i].name, sizeof name);
    if (sim->files[i].used && name[0]) each(context, name);
  }
  return 0;
}

static uint64_t sim_now(struct journal_io *io) { return sim_of(io)->now_ns; }

/* It reads them where they are. */
static void sim_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count) {
  (void)io, (void)buffers;
  ALWAYS_ASSERT(count <= JOURNAL_IO_BUFFERS_MAX);
}

static int sim_submit(struct journal_io *io, const struct journal_io_request *request) {
  struct sim_io *sim = sim_of(io);
  if (sim->operation_count == JOURNAL_IO_IN_FLIGHT_MAX) return -EAGAIN;
  const uint64_t spread = sim->options.latency_most_ns - sim->options.latency_least_ns;
  sim->operations[sim->operation_count++] =
      (struct sim_operation){.request = *request,
                             .due_ns = sim->now_ns + sim->options.latency_least_ns + random_below(sim, spread + 1),
                             .sequence = sim->sequence++};
  return 0;
}

static int rename_file(struct sim_io *sim, const char *from, const char *to) {
  struct sim_file *file = find(sim, from), *replaced = find(sim, to);
  if (!file) return -ENOENT;
  if (replaced) set_name(sim, replaced, "");
  set_name(sim, file, to);
  return 0;
}

static int perform(struct sim_io *sim, const struct journal_io_request *request) {
  if (request->kind == JOURNAL_IO_RENAME) return rename_file(sim, request->from, request->to);
  if (request->kind == JOURNAL_IO_SYNC_DIRECTORY) {
    sync_names(sim);
    return 0;
  }
  struct sim_file *file = file_of(sim, request->file);
  if (!file) return -EBADF;
  if (request->kind == JOURNAL_IO_SYNC) return sync_file(file);
  if (request->kind == JOURNAL_IO_ALLOCATE) {
    if (!has_room(sim, file, request->bytes)) return -ENOSPC;
    return request->bytes > file->seen.length ? resize(&file->seen, (size_t)request->bytes) : 0;
  }
  int result;
  if (request->kind == JOURNAL_IO_WRITE_DURABLE)
    result = write_durable(sim, file, request->buffer, request->bytes, request->offset);
  else if (!has_room(sim, file, request->offset + request->bytes))
    result = -ENOSPC;
  else
    result = put(&file->seen, request->buffer, (size_t)request->bytes, request->offset);
  return result < 0 ? result : (int)request->bytes;
}

/* The operation that completes next, or NULL. */
static struct sim_operation *earliest(struct sim_io *sim) {
  struct sim_operation *first = NULL;
  for (uint32_t i = 0; i < sim->operation_count; i++) {
    struct sim_operation *operation = &sim->operations[i];
    if (!first || operation->due_ns < first->due_ns ||
        (operation->due_ns == first->due_ns && operation->sequence < first->sequence))
      first = operation;
  }
  return first;
}

static int sim_reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  struct sim_io *sim = sim_of(io);
  uint32_t count = 0;
  for (; sim->cancelled_count > 0 && count < most; count++)
    completions[count] = (struct journal_io_completion){.token = sim->cancelled[--sim->cancelled_count], .result = -ECANCELED};
  if (count > 0) return (int)count;
  const struct sim_operation *first = earliest(sim);
  if (!first || first->due_ns > sim->now_ns + wait_ns)
    sim->now_ns += wait_ns;
  else if (first->due_ns > sim->now_ns)
    sim->now_ns = first->due_ns;
  for (struct sim_operation *operation; count < most && (operation = earliest(sim)) && operation->due_ns <= sim->now_ns;
       count++) {
    completions[count] =
        (struct journal_io_completion){.token = operation->request.token, .result = perform(sim, &operation->request)};
    *operation = sim->operations[--sim->operation_count];
  }
  return (int)count;
}

static void sim_destroy(struct journal_io *io) {
  struct sim_io *sim = sim_of(io);
  for (uint32_t i = 0; i < FILES_MAX; i++) release(&sim->files[i]);
  free(sim);
}

static const struct journal_io_operations sim_operations = {
    .open = sim_open,
    .close = sim_close,
    .size = sim_size,
    .read = sim_read,
    .write_sync = sim_write_sync,
    .sync = sim_sync,
    .remove = sim_remove,
    .list = sim_list,
    .now = sim_now,
    .set_buffers = sim_set_buffers,
    .submit = sim_submit,
    .reap = sim_reap,
    .destroy = sim_destroy,
};

struct journal_io *journal_sim_io_create(const struct journal_sim_io_options *options) {
  ALWAYS_ASSERT(options->latency_most_ns >= options->latency_least_ns);
  struct sim_io *sim = calloc(1, sizeof *sim);
  if (!sim) return NULL;
  sim->io.operations = &sim_operations;
  sim->options = *options;
  sim->random = options->seed;
  return &sim->io;
}

void journal_sim_io_set_time(struct journal_io *io, uint64_t now_ns) {
  struct sim_io *sim = sim_of(io);
  if (now_ns > sim->now_ns) sim->now_ns = now_ns;
}

void journal_sim_io_reseed(struct journal_io *io, uint64_t seed) { sim_of(io)->random = seed; }

void journal_sim_io_choose(struct journal_io *io, uint64_t (*choose)(void *context, uint64_t bound), void *context) {
  sim_of(io)->choose = choose;
  sim_of(io)->choose_context = context;
}

void journal_sim_io_set_capacity(struct journal_io *io, uint64_t bytes) { sim_of(io)->options.capacity_bytes = bytes; }

uint64_t journal_sim_io_next_due_ns(const struct journal_io *io) {
  const struct sim_operation *first = earliest(sim_of(io));
  return first ? first->due_ns : UINT64_MAX;
}

/* Whether it makes a difference that these bytes are carried over. */
static bool differs(const struct sim_content *stable, const uint8_t *source, uint64_t offset, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (source[i] != (offset + i < stable->length ? stable->bytes[offset + i] : 0)) return true;
  return false;
}

/* Carries over any subset of the pieces of [from, to) from `source` into the stable content: all, none, or some by seed. One who
 * chooses is asked for each sector of which it matters. */
static void tear(struct sim_io *sim, struct sim_content *stable, const uint8_t *source, uint64_t offset, size_t length) {
  for (size_t at = 0; sim->choose && at < length; at += SECTOR_BYTES) {
    const size_t bytes = length - at < SECTOR_BYTES ? length - at : SECTOR_BYTES;
    if (!differs(stable, source + at, offset + at, bytes) || random_below(sim, 2) == 0) continue;
    ALWAYS_ASSERT(put(stable, source + at, bytes, offset + at) == 0);
  }
  if (sim->choose) return;
  const uint64_t fate = random_below(sim, 4);
  if (fate == 0) return;
  const size_t piece = fate == 1 ? length : fate == 2 ? SECTOR_BYTES : BLOCK_BYTES;
  for (size_t at = 0; at < length; at += piece) {
    const size_t bytes = length - at < piece ? length - at : piece;
    if (fate != 1 && (random_next(sim) & 1)) continue;
    ALWAYS_ASSERT(put(stable, source + at, bytes, offset + at) == 0);
  }
}

static void crash_operation(struct sim_io *sim, const struct journal_io_request *request) {
  if (request->kind == JOURNAL_IO_WRITE_DURABLE || request->kind == JOURNAL_IO_WRITE) {
    struct sim_file *file = file_of(sim, request->file);
    if (file && has_room(sim, file, request->offset + request->bytes))
      tear(sim, &file->stable, request->buffer, request->offset, (size_t)request->bytes);
  } else if (random_below(sim, 2)) {
    perform(sim, request);
  }
}

static void crash_file(struct sim_io *sim, struct sim_file *file) {
  /* Sectors that were written and not synced. */
  for (size_t at = 0; at < file->seen.length; at += BLOCK_BYTES) {
    const size_t left = file->seen.length - at, bytes = left < BLOCK_BYTES ? left : BLOCK_BYTES;
    const bool same = at + bytes <= file->stable.length && memcmp(file->seen.bytes + at, file->stable.bytes + at, bytes) == 0;
    if (!same && at < file->stable.length) tear(sim, &file->stable, file->seen.bytes + at, at, bytes);
  }
  if (file->seen.length > file->stable.length && random_below(sim, 2))
    ALWAYS_ASSERT(resize(&file->stable, file->seen.length) == 0);
  ALWAYS_ASSERT(resize(&file->seen, file->stable.length) == 0);
  ALWAYS_ASSERT(put(&file->seen, file->stable.bytes, file->stable.length, 0) == 0);
}

static void crash_names(struct sim_io *sim) {
  for (uint32_t i = 0; i < FILES_MAX; i++) memcpy(sim->files[i].name, sim->files[i].stable_name, JOURNAL_IO_NAME_BYTES);
  const uint64_t kept = random_below(sim, sim->change_count + 1u);
  for (uint64_t i = 0; i < kept; i++) memcpy(sim->files[sim->changes[i].file].name, sim->changes[i].name, JOURNAL_IO_NAME_BYTES);
  sync_names(sim);
}

void journal_sim_io_crash(struct journal_io *io) {
  struct sim_io *sim = sim_of(io);
  for (uint32_t i = 0; i < sim->operation_count; i++) {
    crash_operation(sim, &sim->operations[i].request);
    sim->cancelled[sim->cancelled_count++] = sim->operations[i].request.token;
  }
  sim->operation_count = 0;
  crash_names(sim);
  for (uint32_t i = 0; i < FILES_MAX; i++) {
    struct sim_file *file = &sim->files[i];
    if (!file->used) continue;
    if (file->name[0])
      crash_file(sim, file);
    else
      release(file);
  }
  memset(sim->handles, 0, sizeof sim->handles);
  sim->boots++;
}

uint8_t *journal_sim_io_bytes(struct journal_io *io, const char *name, size_t *length) {
  struct sim_file *file = find(sim_of(io), name);
  if (!file) return NULL;
  *length = file->seen.length;
  return file->seen.bytes;
}

int journal_sim_io_put(struct journal_io *io, const char *name, const void *bytes, size_t length) {
  struct sim_io *sim = sim_of(io);
  struct sim_file *file = find(sim, name);
  if (!file) file = make_file(sim);
  if (!file) return -ENOMEM;
  if (strcmp(file->name, name) != 0) set_name(sim, file, name);
  sync_names(sim);
  int result = resize(&file->seen, 0);
  if (result == 0) result = put(&file->seen, bytes, length, 0);
  if (result == 0) result = resize(&file->stable, 0);
  return result < 0 ? result : sync_file(file);
}
