#include "daemon_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name, too: a journal that outlives its node id would be refused as another node's. */
static int sync_directory(const char *directory) {
  const int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return -errno;
  const int result = fsync(file) == 0 ? 0 : -errno;
  close(file);
  return result;
}

static int make_node_id(const char *directory, const char *path, uint8_t id[16]) {
  char temporary[CONFIG_PATH_BYTES + 64];
  snprintf(temporary, sizeof temporary, "%s.new", path);
  if (getrandom(id, 16, 0) != 16) return -EIO;
  const int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return -errno;
  const bool written = write(file, id, 16) == 16 && fsync(file) == 0;
  close(file);
  return written && rename(temporary, path) == 0 ? sync_directory(directory) : -EIO;
}

int identity_open(struct daemon *daemon) {
  char path[CONFIG_PATH_BYTES + 32];
  if (mkdir(daemon->config.data_dir, 0750) != 0 && errno != EEXIST) {
    log_error("start", "data_dir %s: %s", daemon->config.data_dir, strerror(errno));
    return -errno;
  }
  /* Held, by the descriptor left open, until the process ends however it ends: two daemons never share a journal. */
  snprintf(path, sizeof path, "%s/lock", daemon->config.data_dir);
  const int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
    log_error("start", "data_dir %s is in use by another daemon, or cannot be locked: %s", daemon->config.data_dir,
              strerror(errno));
    return -EBUSY;
  }
  snprintf(path, sizeof path, "%s/node-id", daemon->config.data_dir);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT ? make_node_id(daemon->config.data_dir, path, daemon->node_id) : -errno;
  const ssize_t got = read(file, daemon->node_id, 16);
  close(file);
  if (got == 16) return 0;
  log_error("start", "%s is damaged: 16 bytes are expected", path);
  return -EBADMSG;
}
