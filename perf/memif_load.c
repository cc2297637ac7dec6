/* Load for an appliance whose port is a memif server: TCP connections in numbers, requests in a closed loop, every answer
 * checked. Usage: memif_load SOCKET CORE MTU SECONDS ROUNDS WINDOW APPLIANCE_PID KIND:CONNECTIONS[:BODY_BYTES[:WINDOW]]...
 * Kinds: otlp, webhook, signed, durable. The runs take turns, ROUNDS times; then medians are printed with their spread, and what
 * the appliance must have counted. */
#include "bench.h"
#include "dpdk_port.h"
#include "load_run.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS_MAX 64
#define ROUNDS_MAX 31
#define BYTES_OUTSTANDING_MAX (1024u * 1024u) /* what the memif's ring holds with room to spare */

struct series {
  struct load_request request;
  uint32_t connections, window;
  double rate[ROUNDS_MAX], core_rate[ROUNDS_MAX], median_us[ROUNDS_MAX], p99_us[ROUNDS_MAX], idle[ROUNDS_MAX];
  uint64_t retransmits, segments, refused;
};

static const char *const kind_names[LOAD_KINDS] = {"otlp", "webhook", "signed", "durable"};
static struct series series[RUNS_MAX];

static void log_line(void *context, int level, const char *line) {
  (void)context;
  if (level <= 1) fprintf(stderr, "dpdk: %s\n", line);
}

static struct dpdk_port *open_wire(const char *socket, int core, uint16_t mtu) {
  struct dpdk_port_config config = {.name = "load", .kind = DPDK_PORT_MEMIF, .mtu = mtu, .queues = 1};
  bench_check(strlen(socket) < sizeof config.path, "the socket's path is too long");
  memcpy(config.path, socket, strlen(socket) + 1);
  const struct dpdk_start_config start = {.main_core = core, .ports = &config, .port_count = 1, .log = log_line};
  int error = 0;
  bench_check(dpdk_start(&start) == 0, "DPDK does not start");
  struct dpdk_port *port = dpdk_port_open(&config, &error);
  bench_check(port != NULL, "the memif does not open");
  for (uint32_t tries = 0; dpdk_port_start(port) == -ENOTCONN && tries < 500; tries++) usleep(10000);
  for (uint32_t tries = 0; !dpdk_port_link_up(port) && tries < 1000; tries++) usleep(10000);
  bench_check(dpdk_port_link_up(port), "no link to the appliance");
  return port;
}

static void parse(const char *text, uint32_t window, struct series *one) {
  char kind[16];
  unsigned body_bytes = 512;
  const int got = sscanf(text, "%15[a-z]:%u:%u:%u", kind, &one->connections, &body_bytes, &window);
  for (int i = 0; got >= 2 && i < LOAD_KINDS; i++) {
    if (strcmp(kind, kind_names[i]) != 0) continue;
    load_request_make(&one->request, (enum load_kind)i, body_bytes);
    one->window = window;
    const uint32_t fits = BYTES_OUTSTANDING_MAX / one->request.length;
    if (one->window > fits) one->window = fits;
    return;
  }
  fprintf(stderr, "%s: a run is KIND:CONNECTIONS[:BODY_BYTES[:WINDOW]]\n", text);
  exit(2);
}

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double median(double *values, uint32_t count) {
  qsort(values, count, sizeof *values, compare);
  return values[count / 2];
}

static void report(struct series *one, uint32_t rounds) {
  const bool otlp = one->request.kind == LOAD_OTLP;
  const double rate = median(one->rate, rounds), core = median(one->core_rate, rounds);
  printf("%-8s %6u B %6u connections, %4u outstanding: %8.0f req/s [%.0f..%.0f]", kind_names[one->request.kind],
         one->request.length - one->request.head_bytes, one->connections, one->window, rate, one->rate[0], one->rate[rounds - 1]);
  printf("  a core: %8.0f req/s [%.0f..%.0f] %6.2f Gbit/s", core, one->core_rate[0], one->core_rate[rounds - 1],
         core * one->request.length * 8 / 1e9);
  if (otlp) printf(" %6.3f M spans/s", core * LOAD_SPANS / 1e6);
  printf("  p50 %5.0f p99 %6.0f us  generator idle %2.0f %%  sent again %llu of %llu segments  503: %llu\n",
         median(one->median_us, rounds), median(one->p99_us, rounds), 100 * median(one->idle, rounds),
         (unsigned long long)one->retransmits, (unsigned long long)one->segments, (unsigned long long)one->refused);
}

int main(int count, char **arguments) {
  if (count < 9 || count - 8 > RUNS_MAX) {
    fprintf(stderr,
            "usage: memif_load SOCKET CORE MTU SECONDS ROUNDS WINDOW APPLIANCE_PID KIND:CONNECTIONS[:BODY_BYTES[:WINDOW]]...\n");
    return 2;
  }
  const int core = atoi(arguments[2]), appliance = atoi(arguments[7]);
  const uint16_t mtu = (uint16_t)atoi(arguments[3]);
  const uint32_t rounds = (uint32_t)atoi(arguments[5]), runs = (uint32_t)(count - 8);
  bench_check(rounds > 0 && rounds <= ROUNDS_MAX && atoi(arguments[6]) > 0, "rounds and window");
  for (uint32_t i = 0; i < runs; i++) parse(arguments[8 + i], (uint32_t)atoi(arguments[6]), &series[i]);
  static struct load load = {
      .ends = {.client_mac = {0x02, 0, 0, 0, 0x10, 0x01}, .client_ipv4 = 0x0a560a01, .server_ipv4 = 0x0a560002}};
  static struct load_result result;
  struct dpdk_port *port = open_wire(arguments[1], core, mtu);
  load.wire = (struct load_wire){.queue = dpdk_port_queue(port, 0), .mtu = mtu};
  load_resolve(&load);
  uint64_t totals[LOAD_KINDS] = {0}, violations = 0;
  for (uint32_t round = 0; round < rounds; round++) {
    for (uint32_t i = 0; i < runs; i++) {
      struct series *one = &series[i];
      const struct load_plan plan = {.request = &one->request,
                                     .connections = one->connections,
                                     .window = one->window,
                                     .seconds = atof(arguments[4]),
                                     .appliance = appliance};
      load_run(&load, &plan, &result);
      one->rate[round] = (double)result.requests / result.seconds;
      one->core_rate[round] = appliance ? (double)result.requests / result.shard_seconds : one->rate[round];
      one->median_us[round] = (double)histogram_quantile(&result.latency_ns, 0.5) / 1e3;
      one->p99_us[round] = (double)histogram_quantile(&result.latency_ns, 0.99) / 1e3;
      one->idle[round] = result.idle;
      one->retransmits += result.retransmits;
      one->segments += result.segments;
      one->refused += result.refused;
      totals[one->request.kind] += result.all;
      violations += result.violations;
    }
  }
  for (uint32_t i = 0; i < runs; i++) report(&series[i], rounds);
  for (uint32_t i = 0; i < LOAD_KINDS; i++) printf("answered %s %llu\n", kind_names[i], (unsigned long long)totals[i]);
  printf("answered violations %llu\n", (unsigned long long)violations);
  dpdk_port_close(port);
  dpdk_stop();
  return 0;
}
