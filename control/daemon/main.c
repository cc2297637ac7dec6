/* triplined: wiring only. Configuration, then ports, journal, shards, rules and management; a signal; and back. */
#include "daemon_internal.h"
#include <errno.h>
#include <getopt.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define DRAIN_NS 8000000000ull
#define EXIT_USAGE 2

static struct daemon daemon_state; /* too large for a stack */

static int usage(FILE *out) {
  fputs("usage: triplined [--config FILE] [--check] [--version]\n"
        "  --config FILE  configuration; without it the embedded default\n"
        "  --check        read it, report every error with its place, and exit: 0 good, 2 bad\n",
        out);
  return out == stdout ? 0 : EXIT_USAGE;
}

/* The shipped rules, for a daemon that was told of none. */
static void default_rule_paths(struct config *config) {
  static const char *const candidates[] = {"config/rules.d", TRIPLINE_RULES_DIR};
  for (unsigned i = 0; i < 2 && config->rule_path_count == 0; i++) {
    if (access(candidates[i], R_OK) != 0) continue;
    snprintf(config->rule_paths[0], sizeof config->rule_paths[0], "%s", candidates[i]);
    config->rule_path_count = 1;
  }
}

static void hash_config(struct daemon *daemon, const char *path) {
  uint8_t digest[32], buffer[4096];
  SHA256_CTX context;
  SHA256_Init(&context);
  FILE *file = path ? fopen(path, "re") : NULL;
  for (size_t got; file && (got = fread(buffer, 1, sizeof buffer, file)) > 0;) SHA256_Update(&context, buffer, got);
  if (file) fclose(file);
  SHA256_Final(digest, &context);
  for (unsigned i = 0; i < 32; i++) snprintf(daemon->config_sha256 + 2 * i, 3, "%02x", digest[i]);
}

static int read_config(struct daemon *daemon, const char *path) {
  if (!path) {
    config_default(&daemon->config);
    default_rule_paths(&daemon->config);
  } else if (config_load(path, &daemon->config, stderr) != 0) {
    return EXIT_USAGE;
  }
  hash_config(daemon, path);
  return 0;
}

static int start_management(struct daemon *daemon) {
  int error = 0;
  const struct management_config config = {.socket_path = daemon->config.management.socket,
                                           .socket_group = daemon->config.management.socket_group,
                                           .listen_address = daemon->config.management.listen_address,
                                           .listen_port = daemon->config.management.listen_port};
  appliance_view_init(daemon);
  daemon->management = management_server_start(&config, &daemon->appliance, &error);
  if (daemon->management) return 0;
  log_error("management", "cannot listen on %s or %s:%u: %s", config.socket_path, config.listen_address, config.listen_port,
            strerror(error < 0 ? -error : error));
  return -EIO;
}

static int start(struct daemon *daemon) {
  int result = identity_open(daemon);
  if (result == 0) result = cores_choose(daemon);
  /* Threads that libraries start inherit this: none of them lands on a polling core. */
  if (result == 0) result = cores_pin(pthread_self(), daemon->cores.control);
  if (result == 0) result = ports_start(daemon);
  if (result == 0) result = rules_create(daemon);
  if (result == 0) result = records_open(daemon);
  if (result == 0) result = certificates_start(daemon);
  if (result == 0) result = signing_start(daemon);
  if (result == 0) result = shards_create(daemon);
  if (result == 0) result = crash_dump_install(daemon);
  if (result == 0) result = records_start(daemon);
  if (result == 0) result = rules_start(daemon);
  if (result == 0) result = keeper_start(daemon);
  if (result != 0) return result;
  ports_run(daemon);
  result = shards_start(daemon);
  return result == 0 ? start_management(daemon) : result;
}

static const char *port_or_off(uint16_t port, char text[8]) {
  if (!port) return "off";
  snprintf(text, 8, "%u", port);
  return text;
}

static void announce(const struct daemon *daemon) {
  const struct config *config = &daemon->config;
  char zipkin[8], jaeger[8];
  for (uint32_t i = 0; i < daemon->port_count; i++) {
    const struct config_port *port = daemon->ports[i].config;
    const char *first = port->ipv4_count ? port->ipv4[0] : port->ipv6[0];
    const char *second = port->ipv4_count && port->ipv6_count ? port->ipv6[0] : NULL;
    log_info("start", "port %s at %s%s%s: OTLP/HTTP on %u, OTLP/gRPC on %u, Zipkin on %s, Jaeger on %s/udp, webhooks on %u",
             port->name, first, second ? " and " : "", second ? second : "", config->otlp_http.port, config->otlp_grpc.port,
             port_or_off(config->zipkin.port, zipkin), port_or_off(config->jaeger_port, jaeger), config->webhooks.port);
  }
  log_info("start", "ready: %u shards, management at %s", daemon->shard_count, daemon->config.management.socket);
  sd_notify(0, "READY=1");
}

/* SIGTERM or SIGINT drains; a second one ends at once. SIGHUP reads rules.files, certificates and the signing key again. */
static void run(struct daemon *daemon, const sigset_t *signals) {
  char error[512];
  for (;;) {
    const int number = sigwaitinfo(signals, NULL);
    if (number == SIGHUP) {
      rules_reload(daemon);
      certificates_reload(daemon, error, sizeof error);
      signing_reload(daemon, error, sizeof error);
    } else if (number == SIGTERM || number == SIGINT) {
      return;
    }
  }
}

static void stop(struct daemon *daemon) {
  sd_notify(0, "STOPPING=1");
  atomic_store_explicit(&daemon->draining, true, memory_order_relaxed);
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
  const bool started = daemon->shard_count && daemon->shards[0].thread;
  if (started && !shards_drain(daemon, monotonic_ns() + DRAIN_NS)) log_warning("stop", "not all requests ended within 8 s");
  shards_stop(daemon);
  keeper_stop(daemon);
  records_stop_thread(daemon);
  if (daemon->management) management_server_stop(daemon->management);
  ports_stop(daemon);
  records_close(daemon);
  rules_stop(daemon);
  certificates_stop(daemon);
  signing_stop(daemon);
  log_info("stop", "done");
}

int main(int count, char **arguments) {
  static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                          {"check", no_argument, NULL, 'k'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  struct daemon *daemon = &daemon_state;
  const struct tls_heap heap = {.take = malloc, .give = free};
  const char *path = NULL;
  bool check = false;
  for (int option; (option = getopt_long(count, arguments, "c:h", options, NULL)) != -1;) {
    switch (option) {
    case 'c':
      path = optarg;
      break;
    case 'k':
      check = true;
      break;
    case 'v':
      puts("triplined " TRIPLINE_VERSION);
      return 0;
    case 'h':
      return usage(stdout);
    default:
      return usage(stderr);
    }
  }
  if (optind != count) return usage(stderr);
  daemon->certificates.memory_installed = tls_memory_install(&heap); /* before OpenSSL is asked for anything */
  const int configured = read_config(daemon, path);
  if (check || configured != 0) return configured;
  pthread_mutex_init(&daemon->records_lock, NULL);
  pthread_mutex_init(&daemon->snapshot_lock, NULL);
  pthread_mutex_init(&daemon->certificates.lock, NULL);
  daemon->arena = arena_mapped(&daemon->config.shards.prefault);
  daemon->started_wall_ns = wall_ns();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: all inherit it */
  signal(SIGPIPE, SIG_IGN);
  const int result = start(daemon);
  if (result == 0) {
    announce(daemon);
    run(daemon, &signals);
  }
  stop(daemon);
  return result == 0 ? 0 : 1;
}
