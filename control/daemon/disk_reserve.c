/* Room on the journal's disk that is given up when the disk is full: a removal is recorded before it is done, and the record
 * needs room. A file without a name: it is gone when the daemon is. The keeper's thread. */
#include "daemon_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILESYSTEM_BYTES (1u << 20) /* what the filesystem itself may take beside a segment */
#define AMPLE 2u                    /* times as much must be free before it is taken */

static bool is_wanted(const struct config *config) {
  return config->journal.retain_age_ns || config->journal.retain_bytes || config->journal.retain_records ||
         config->journal.retain_bytes_hard;
}

void disk_reserve_keep(struct daemon *daemon) {
  const uint64_t bytes = daemon->config.journal.segment_bytes + FILESYSTEM_BYTES;
  char directory[CONFIG_PATH_BYTES + 16];
  struct statvfs room;
  if (daemon->keeper.has_reserve || daemon->keeper.no_reserve || !is_wanted(&daemon->config)) return;
  snprintf(directory, sizeof directory, "%s/journal", daemon->config.data_dir);
  if (statvfs(directory, &room) != 0 || room.f_bavail * room.f_frsize < AMPLE * bytes) return;
  const int file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  const int result = file < 0 ? -1 : fallocate(file, 0, 0, (off_t)bytes);
  daemon->keeper.has_reserve = result == 0;
  daemon->keeper.reserve_file = file;
  if (result == 0 || errno == ENOSPC) {
    if (result != 0 && file >= 0) close(file);
    return;
  }
  log_warning("journal", "no room is held in reserve for a full disk: %s", strerror(errno));
  daemon->keeper.no_reserve = true;
  if (file >= 0) close(file);
}

void disk_reserve_give_up(struct daemon *daemon) {
  if (!daemon->keeper.has_reserve) return;
  close(daemon->keeper.reserve_file);
  daemon->keeper.has_reserve = false;
}
