#include "always_assert.h"
#include "journal_io_uring_internal.h"
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The ring may do what the journal does and nothing else, whoever gets hold of it. */
static int restrict_ring(struct io_uring *ring) {
  static const uint8_t operations[] = {IORING_OP_WRITE, IORING_OP_WRITE_FIXED, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
                                       IORING_OP_RENAMEAT};
  static const uint8_t registrations[] = {IORING_REGISTER_IOWQ_AFF, IORING_REGISTER_FILES_UPDATE, IORING_REGISTER_BUFFERS,
                                          IORING_UNREGISTER_BUFFERS, IORING_REGISTER_ENABLE_RINGS};
  struct io_uring_restriction restrictions[sizeof operations + sizeof registrations + 1];
  memset(restrictions, 0, sizeof restrictions);
  unsigned count = 0;
  for (size_t i = 0; i < sizeof operations; i++) {
    restrictions[count].opcode = IORING_RESTRICTION_SQE_OP;
    restrictions[count++].sqe_op = operations[i];
  }
  for (size_t i = 0; i < sizeof registrations; i++) {
    restrictions[count].opcode = IORING_RESTRICTION_REGISTER_OP;
    restrictions[count++].register_op = registrations[i];
  }
  restrictions[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  restrictions[count++].sqe_flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
  /* liburing 2.3 declares functions for these two and does not export them. */
  if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, restrictions, count) < 0) return -errno;
  return syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0 ? -errno : 0;
}

static pid_t this_thread(void) {
  static _Thread_local pid_t id;
  if (id == 0) id = gettid();
  return id;
}

static void register_buffers(struct uring_io *uring) {
  uring->has_buffers =
      uring->buffer_count > 0 && io_uring_register_buffers(&uring->ring, uring->buffers, uring->buffer_count) == 0;
}

int uring_ring_create(struct uring_io *uring, const char **error) {
  /* What completes is looked after when this thread asks, not by interrupting it, or a sleeping one, at once: with the other
   * cores busy a durable write takes half the time (docs/decisions/0006). Kernels before 6.1 do without. */
  const unsigned prompt = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  *error = "the kernel refuses io_uring (io_uring_setup)";
  int result = io_uring_queue_init(2 * JOURNAL_IO_IN_FLIGHT_MAX, &uring->ring, IORING_SETUP_R_DISABLED | prompt);
  if (result == -EINVAL) result = io_uring_queue_init(2 * JOURNAL_IO_IN_FLIGHT_MAX, &uring->ring, IORING_SETUP_R_DISABLED);
  if (result < 0) return result;
  if (!(uring->ring.features & IORING_FEAT_CQE_SKIP)) {
    *error = "the kernel is older than 5.17";
    io_uring_queue_exit(&uring->ring);
    return -ENOSYS;
  }
  for (uint32_t i = 0; i < URING_FILES_MAX; i++) atomic_store_explicit(&uring->files[i], -1, memory_order_relaxed);
  uring->has_files = io_uring_register_files_sparse(&uring->ring, URING_FILES_MAX) == 0;
  *error = "the kernel refuses to restrict the io_uring";
  result = restrict_ring(&uring->ring);
  if (result < 0) {
    io_uring_queue_exit(&uring->ring);
    return result;
  }
  uring->has_ring = true;
  uring->owner = this_thread();
  register_buffers(uring);
  return 0;
}

void uring_ring_destroy(struct uring_io *uring) {
  if (uring->has_ring) io_uring_queue_exit(&uring->ring);
  uring->has_ring = false;
}

int uring_ring_own(struct uring_io *uring) {
  if (uring->has_ring && uring->owner == this_thread()) return 0;
  if (uring->in_flight > 0) return -EXDEV;
  uring_ring_destroy(uring);
  const char *error;
  return uring_ring_create(uring, &error);
}

void uring_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count) {
  struct uring_io *uring = (struct uring_io *)(void *)io;
  ALWAYS_ASSERT(count <= JOURNAL_IO_BUFFERS_MAX);
  for (uint32_t i = 0; i < count; i++) uring->buffers[i] = buffers[i];
  uring->buffer_count = count;
  if (!uring->has_ring) return;
  if (uring->owner != this_thread()) {
    /* Whoever submits next gets a ring that knows them. This one lets go of the old ones. */
    if (uring->in_flight == 0) uring_ring_destroy(uring);
    return;
  }
  if (uring->has_buffers) io_uring_unregister_buffers(&uring->ring);
  register_buffers(uring);
}

int uring_buffer_of(const struct uring_io *uring, const void *bytes, uint64_t length) {
  const uintptr_t from = (uintptr_t)bytes;
  for (uint32_t i = 0; uring->has_buffers && i < uring->buffer_count; i++) {
    const uintptr_t start = (uintptr_t)uring->buffers[i].iov_base;
    if (from >= start && from - start <= uring->buffers[i].iov_len && length <= uring->buffers[i].iov_len - (from - start))
      return (int)i;
  }
  return -1;
}

int uring_file_slot(struct uring_io *uring, int file) {
  int free_slot = -1;
  if (file < 0) return -1;
  for (int i = 0; uring->has_files && i < URING_FILES_MAX; i++) {
    const int held = atomic_load_explicit(&uring->files[i], memory_order_relaxed);
    if (held == file) return i;
    if (held < 0 && free_slot < 0) free_slot = i;
  }
  if (free_slot < 0 || io_uring_register_files_update(&uring->ring, (unsigned)free_slot, &file, 1) != 1) return -1;
  atomic_store_explicit(&uring->files[free_slot], file, memory_order_relaxed);
  return free_slot;
}

void uring_file_forget(struct uring_io *uring, int file) {
  int none = -1;
  for (unsigned i = 0; i < URING_FILES_MAX; i++) {
    if (atomic_load_explicit(&uring->files[i], memory_order_relaxed) != file) continue;
    if (uring->has_ring) io_uring_register_files_update(&uring->ring, i, &none, 1);
    atomic_store_explicit(&uring->files[i], -1, memory_order_relaxed);
  }
}
