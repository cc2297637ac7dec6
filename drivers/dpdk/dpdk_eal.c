#include "dpdk_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The one EAL of the process. control:rw, but for `unheard`. */
static struct {
  bool started;
  void (*log)(void *context, int level, const char *line);
  void *log_context;
  FILE *stream;
  char line[1024]; /* what came without its newline yet; guarded by the stream's lock */
  size_t line_bytes;
  _Atomic uint64_t unheard; /* lines from polling threads: those may not wait for a log */
  uint32_t port_count;
  struct {
    char port[16], device[32];
  } names[DPDK_PORTS_MAX];
} eal;

static _Thread_local bool polling;

static int level_of(uint32_t dpdk_level) {
  if (dpdk_level <= RTE_LOG_ERR) return DPDK_LOG_ERROR;
  if (dpdk_level == RTE_LOG_WARNING) return DPDK_LOG_WARNING;
  return dpdk_level == RTE_LOG_DEBUG ? DPDK_LOG_DEBUG : DPDK_LOG_INFO;
}

void dpdk_log(int level, const char *format, ...) {
  if (!eal.log) return;
  char line[2048];
  va_list values;
  va_start(values, format);
  vsnprintf(line, sizeof line, format, values);
  va_end(values);
  eal.log(eal.log_context, level, line);
}

static void line_end(int level) {
  eal.line[eal.line_bytes] = 0;
  if (eal.line_bytes > 0 && eal.log) eal.log(eal.log_context, level, eal.line);
  eal.line_bytes = 0;
}

/* stdio calls this under the stream's lock. */
static ssize_t write_log_bytes(void *cookie, const char *bytes, size_t length) {
  (void)cookie;
  if (polling) {
    atomic_fetch_add_explicit(&eal.unheard, 1, memory_order_relaxed);
    return (ssize_t)length;
  }
  const int level = level_of((uint32_t)rte_log_cur_msg_loglevel());
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] == '\n')
      line_end(level);
    else if (eal.line_bytes + 1 < sizeof eal.line)
      eal.line[eal.line_bytes++] = bytes[i];
  }
  return (ssize_t)length;
}

static int open_log_stream(void) {
  eal.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_log_bytes});
  if (!eal.stream) return -ENOMEM;
  setvbuf(eal.stream, NULL, _IOLBF, 1024);
  rte_openlog_stream(eal.stream);
  return 0;
}

static void log_arguments(const struct dpdk_arguments *arguments) {
  char line[2000];
  size_t used = 0;
  for (int i = 0; i < arguments->count && used < sizeof line; i++)
    used += (size_t)snprintf(line + used, sizeof line - used, "%s%s", i ? " " : "", arguments->words[i]);
  dpdk_log(DPDK_LOG_INFO, "EAL arguments: %s", line);
}

static void remember_ports(const struct dpdk_start_config *config) {
  eal.port_count = config->port_count;
  for (uint32_t i = 0; i < config->port_count; i++) {
    snprintf(eal.names[i].port, sizeof eal.names[i].port, "%.15s", config->ports[i].name);
    dpdk_device_name(&config->ports[i], i, eal.names[i].device);
  }
}

bool dpdk_started_device_name(const char *port_name, char name[static 32]) {
  for (uint32_t i = 0; i < eal.port_count; i++) {
    if (strncmp(eal.names[i].port, port_name, sizeof eal.names[i].port) != 0) continue;
    memcpy(name, eal.names[i].device, 32);
    return true;
  }
  return false;
}

/* EAL makes a directory for each process and never removes one; after a kill nobody else does. Only empty ones can go. */
static void sweep_directories(void) {
  char parent[256];
  snprintf(parent, sizeof parent, "%s", rte_eal_get_runtime_dir());
  char *last = strrchr(parent, '/');
  if (!last) return;
  *last = 0;
  DIR *directory = opendir(parent);
  if (!directory) return;
  for (struct dirent *entry; (entry = readdir(directory));) {
    int process;
    if (sscanf(entry->d_name, "tripline-%d", &process) != 1 || kill(process, 0) == 0 || errno != ESRCH) continue;
    if (unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR) != 0)
      dpdk_log(DPDK_LOG_DEBUG, "%s/%s stays: %s", parent, entry->d_name, strerror(errno));
  }
  closedir(directory);
}

int dpdk_start(const struct dpdk_start_config *config) {
  if (eal.started) return -EALREADY;
  eal.log = config->log;
  eal.log_context = config->log_context;
  const uint64_t needed = dpdk_memory_needed_mib(config->ports, config->port_count);
  const uint64_t wanted = config->memory_mib > needed ? config->memory_mib : needed;
  struct dpdk_arguments arguments;
  int result = dpdk_arguments_build(config, dpdk_hugepages_free_mib() >= wanted, &arguments);
  if (result) {
    dpdk_log(DPDK_LOG_ERROR, "a port's configuration makes no EAL arguments: %s", strerror(-result));
    return result;
  }
  result = open_log_stream();
  if (!result) {
    log_arguments(&arguments);
    remember_ports(config);
    /* EAL sorts the vector it is given. */
    char *words[sizeof arguments.words / sizeof arguments.words[0]];
    memcpy(words, arguments.words, sizeof words);
    if (rte_eal_init(arguments.count, words) < 0) result = rte_errno ? -rte_errno : -EIO;
    eal.started = result == 0;
    if (result == 0)
      sweep_directories();
    else
      dpdk_log(DPDK_LOG_ERROR, "EAL did not start: %s", strerror(-result));
  }
  dpdk_arguments_free(&arguments);
  return result;
}

void dpdk_stop(void) {
  if (!eal.started) return;
  char directory[256];
  snprintf(directory, sizeof directory, "%s", rte_eal_get_runtime_dir());
  rte_eal_cleanup();
  /* EAL leaves its directory behind, one a process. */
  if (rmdir(directory) != 0 && errno != ENOENT) dpdk_log(DPDK_LOG_INFO, "%s stays: %s", directory, strerror(errno));
  const uint64_t unheard = atomic_load_explicit(&eal.unheard, memory_order_relaxed);
  if (unheard)
    dpdk_log(DPDK_LOG_WARNING, "%llu lines of DPDK came from polling threads and were dropped", (unsigned long long)unheard);
  eal.started = false;
  /* Closing it would leave DPDK's destructors a dangling stream; it falls with the process. */
  fflush(eal.stream);
}

void dpdk_thread_register(void) {
  /* An lcore id gives the thread its cache in every buffer pool; without one it works, slower. */
  if (rte_thread_register() != 0) dpdk_log(DPDK_LOG_WARNING, "no lcore id for a polling thread: %s", strerror(rte_errno));
  polling = true;
}

void dpdk_thread_unregister(void) {
  polling = false;
  rte_thread_unregister();
}
