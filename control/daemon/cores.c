#include "daemon_internal.h"
#include <errno.h>
#include <sched.h>

int cores_pin(pthread_t thread, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((unsigned)core, &set);
  return -pthread_setaffinity_np(thread, sizeof set, &set);
}

static bool contains(const uint16_t *cores, uint32_t count, uint16_t core) {
  for (uint32_t i = 0; i < count; i++)
    if (cores[i] == core) return true;
  return false;
}

/* The first allowed core that no shard polls and that is not `other`; else `other`; else the first of all. */
static int core_beside(const struct daemon *daemon, const uint16_t *allowed, uint32_t allowed_count, int other) {
  for (uint32_t i = 0; i < allowed_count; i++)
    if (!contains(daemon->cores.shard_cores, daemon->cores.count, allowed[i]) && allowed[i] != other) return allowed[i];
  return other >= 0 ? other : allowed[0];
}

/* Two cores are kept for control and journal when there are four, one when there are two or three. */
static uint32_t default_shards(uint32_t allowed) { return allowed >= 4 ? allowed - 2 : 1; }

int cores_choose_from(struct daemon *daemon, const uint16_t *allowed, uint32_t allowed_count) {
  uint32_t count = daemon->config.shards.count ? daemon->config.shards.count : default_shards(allowed_count);
  if (daemon->config.shards.core_count) count = daemon->config.shards.core_count;
  if (count > allowed_count || count > SHARDS_MAX) {
    log_error("cores", "%u shards do not fit on %u cores", count, allowed_count);
    return -EINVAL;
  }
  for (uint32_t i = 0; i < count; i++) {
    const uint16_t core = daemon->config.shards.core_count ? daemon->config.shards.cores[i] : allowed[allowed_count - count + i];
    if (!contains(allowed, allowed_count, core)) {
      log_error("cores", "core %u is not available to this process", core);
      return -EINVAL;
    }
    daemon->cores.shard_cores[i] = core;
  }
  daemon->cores.count = count;
  daemon->cores.control = daemon->config.shards.control_core;
  if (daemon->cores.control < 0) daemon->cores.control = core_beside(daemon, allowed, allowed_count, -1);
  daemon->cores.journal = daemon->config.shards.journal_core;
  if (daemon->cores.journal < 0) daemon->cores.journal = core_beside(daemon, allowed, allowed_count, daemon->cores.control);
  daemon->cores.shared = contains(daemon->cores.shard_cores, count, (uint16_t)daemon->cores.control) ||
                         contains(daemon->cores.shard_cores, count, (uint16_t)daemon->cores.journal);
  if (daemon->cores.shared) log_warning("cores", "control or journal share a core with a shard: expect slow answers under load");
  if (daemon->cores.control == daemon->cores.journal)
    log_warning("cores", "control and journal share core %d", daemon->cores.control);
  return 0;
}

int cores_choose(struct daemon *daemon) {
  cpu_set_t set;
  uint16_t allowed[256];
  uint32_t allowed_count = 0;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return -errno;
  for (uint16_t core = 0; core < CPU_SETSIZE && allowed_count < 256; core++)
    if (CPU_ISSET(core, &set)) allowed[allowed_count++] = core;
  return cores_choose_from(daemon, allowed, allowed_count);
}
