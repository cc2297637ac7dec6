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
#define LOOK_S 1 /* between two looks at what systemd is told */
#define EXIT_USAGE 2
#define EXIT_JOURNAL 3 /* refused: a restart changes nothing */

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

/* Threads that libraries start inherit this: none of them lands on a polling core. */
static int pin_control(struct daemon *daemon) { return cores_pin(pthread_self(), daemon->cores.control); }

static int start_ports(struct daemon *daemon) {
  ports_run(daemon);
  return shards_start(daemon);
}

/* Management answers from early on, though only about the start until all is up: a recovery may take minutes. */
static int start(struct daemon *daemon) {
  static const struct {
    enum appliance_phase phase;
    const char *name;
    int (*begin)(struct daemon *daemon);
  } steps[] = {{APPLIANCE_STARTING, "data directory", identity_open},
               {APPLIANCE_STARTING, "cores", cores_choose},
               {APPLIANCE_STARTING, "cores", pin_control},
               {APPLIANCE_STARTING, "management", start_management},
               {APPLIANCE_STARTING, "ports", ports_start},
               {APPLIANCE_STARTING, "rules", rules_create},
               {APPLIANCE_STARTING, "journal", records_open},
               {APPLIANCE_RECOVERING, "journal", start_recovery},
               {APPLIANCE_STARTING, "certificates", certificates_start},
               {APPLIANCE_STARTING, "signing", signing_start},
               {APPLIANCE_STARTING, "shards", shards_create},
               {APPLIANCE_STARTING, "crash dump", crash_dump_install},
               {APPLIANCE_STARTING, "journal", records_start},
               {APPLIANCE_STARTING, "rules", rules_start},
               {APPLIANCE_STARTING, "index", keeper_start},
               {APPLIANCE_STARTING, "ports", start_ports}};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    start_enter(daemon, steps[i].phase, steps[i].name);
    const int result = start_stopped(daemon) ? -ECANCELED : steps[i].begin(daemon);
    if (result != 0) return result;
  }
  start_enter(daemon, APPLIANCE_RUNNING, "");
  return 0;
}

static const char *port_or_off(uint16_t port, char text[8]) {
  if (!port) return "off";
  snprintf(text, 8, "%u", port);
  return text;
}

static void announce(struct daemon *daemon) {
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
  start_tell_systemd(daemon, true);
}

/* SIGTERM or SIGINT drains; a second one ends at once. SIGHUP reads rules.files, certificates and the signing key again. */
static void run(struct daemon *daemon, const sigset_t *signals) {
  char error[512];
  for (;;) {
    const struct timespec look = {.tv_sec = LOOK_S};
    const int number = sigtimedwait(signals, NULL, &look);
    start_tell_systemd(daemon, false);
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
  if (!check && configured != 0) sd_notify(0, "STATUS=refused: the configuration; the log says where\nERRNO=22");
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
  } else {
    start_failed(daemon, result);
  }
  stop(daemon);
  if (result == 0 || daemon->start.stopped) return 0;
  return start_journal_refused(daemon, result) ? EXIT_JOURNAL : 1;
}
