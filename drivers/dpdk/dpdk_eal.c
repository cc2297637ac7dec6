#include "dpdk_internal.h"
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EAL is one a process: so is this. Control's. */
static struct {
  bool started;
  void (*log)(void *context, int level, const char *line);
  void *context;
  FILE *stream;
  struct dpdk_arguments arguments;
  char *shuffled[96]; /* EAL permutes what it is given */
} eal;

/* DPDK writes whole lines mostly; parts of one are passed on as they come. */
static ssize_t take_log(void *cookie, const char *text, size_t length) {
  (void)cookie;
  char line[512];
  size_t at = 0;
  while (at < length) {
    const char *end = memchr(text + at, '\n', length - at);
    const size_t bytes = end ? (size_t)(end - (text + at)) : length - at;
    if (bytes) {
      snprintf(line, sizeof line, "%.*s", (int)(bytes < sizeof line ? bytes : sizeof line - 1), text + at);
      eal.log(eal.context, rte_log_cur_msg_loglevel(), line);
    }
    at += bytes + (end != NULL);
  }
  return (ssize_t)length;
}

static void route_log(const struct dpdk_start_config *config) {
  eal.log = config->log;
  eal.context = config->log_context;
  if (!config->log) return;
  eal.stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take_log});
  if (!eal.stream) return;
  setvbuf(eal.stream, NULL, _IOLBF, 1024);
  rte_openlog_stream(eal.stream);
}

static void log_arguments(void) {
  char line[2048] = "EAL arguments:";
  for (int i = 1; i < eal.arguments.count; i++) {
    const size_t used = strlen(line);
    snprintf(line + used, sizeof line - used, " %s", eal.arguments.words[i]);
  }
  if (eal.log) eal.log(eal.context, RTE_LOG_INFO, line);
}

int dpdk_start(const struct dpdk_start_config *config) {
  const int built = dpdk_arguments_build(config, dpdk_hugepages_available(), &eal.arguments);
  if (built != 0) return built;
  route_log(config);
  log_arguments();
  memcpy(eal.shuffled, eal.arguments.words, sizeof eal.shuffled);
  if (rte_eal_init(eal.arguments.count, eal.shuffled) < 0) return rte_errno ? -rte_errno : -EIO;
  eal.started = true;
  return 0;
}

void dpdk_stop(void) {
  if (eal.started) rte_eal_cleanup();
  eal.started = false;
  rte_openlog_stream(NULL);
  if (eal.stream) fclose(eal.stream);
  eal.stream = NULL;
  dpdk_arguments_free(&eal.arguments);
}

/* Gives the thread a cache in each mempool. */
void dpdk_thread_register(void) {
  if (rte_thread_register() < 0 && eal.log) eal.log(eal.context, RTE_LOG_WARNING, "a polling thread gets no mempool cache");
}

void dpdk_thread_unregister(void) { rte_thread_unregister(); }
