/* The identities of the listeners with TLS: read at start, and again on request. A new set replaces the old one whole, or not. */
#include "daemon_internal.h"
#include "listener_identity.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADOPT_WAIT_NS 5000000000ull

struct listener_tls {
  const char *name;
  const struct config_tls *tls;
};

static struct listener_tls listener_at(const struct config *config, enum shard_listener listener) {
  const struct listener_tls listeners[SHARD_LISTENERS] = {
      [SHARD_LISTENER_OTLP_HTTP] = {"otlp_http", &config->otlp_http.tls},
      [SHARD_LISTENER_OTLP_GRPC] = {"otlp_grpc", &config->otlp_grpc.tls},
      [SHARD_LISTENER_WEBHOOKS] = {"webhooks", &config->webhooks.tls},
      [SHARD_LISTENER_ZIPKIN] = {"zipkin", &config->zipkin.tls},
  };
  return listeners[listener];
}

static bool configured(const struct config *config) {
  for (unsigned i = 0; i < SHARD_LISTENERS; i++)
    if (listener_at(config, i).tls->certificate[0]) return true;
  return false;
}

static void free_set(struct tls_identities *set) {
  if (!set) return;
  for (unsigned i = 0; i < SHARD_LISTENERS; i++) tls_identity_free(set->listeners[i]);
  free(set);
}

static struct tls_identities *load(const struct config *config, char *error, size_t room) {
  struct tls_identities *set = calloc(1, sizeof *set);
  if (!set) snprintf(error, room, "no memory");
  for (unsigned i = 0; set && i < SHARD_LISTENERS; i++) {
    const struct listener_tls listener = listener_at(config, i);
    struct listener_identity_fault fault;
    if (!listener.tls->certificate[0]) continue;
    set->listeners[i] = listener_identity_load(listener.tls, &fault);
    if (set->listeners[i]) continue;
    snprintf(error, room, "%s: %s", listener.name, fault.what);
    free_set(set);
    return NULL;
  }
  return set;
}

static void tell(const struct daemon *daemon) {
  const struct tls_identities *set = daemon->certificates.set;
  const char *first = NULL;
  int64_t first_s = INT64_MAX;
  for (unsigned i = 0; i < SHARD_LISTENERS; i++) {
    if (!set->listeners[i] || tls_identity_not_after_s(set->listeners[i]) >= first_s) continue;
    first = listener_at(&daemon->config, i).name;
    first_s = tls_identity_not_after_s(set->listeners[i]);
  }
  const int64_t left_s = first_s - (int64_t)(wall_ns() / 1000000000u);
  if (left_s <= 0) {
    log_warning("tls", "the certificate of %s is out of date: clients will refuse it", first);
  } else {
    log_info("tls", "certificates are in force; the first to end is that of %s, in %lld days", first, (long long)left_s / 86400);
  }
}

int certificates_start(struct daemon *daemon) {
  char error[512];
  struct daemon_certificates *certificates = &daemon->certificates;
  if (!configured(&daemon->config)) return 0;
  if (!certificates->memory_installed) {
    log_error("tls", "OpenSSL's memory cannot be bounded: something took of it before");
    return -ENOTSUP;
  }
  certificates->set = load(&daemon->config, error, sizeof error);
  if (!certificates->set) {
    log_error("tls", "%s", error);
    return -EINVAL;
  }
  certificates->set->generation = 1;
  certificates->last_reload_succeeded = true;
  atomic_store_explicit(&certificates->publication.identities, certificates->set, memory_order_release);
  tell(daemon);
  return 0;
}

static bool adopted(struct daemon *daemon, uint64_t generation) {
  const uint64_t deadline_ns = monotonic_ns() + ADOPT_WAIT_NS;
  for (uint32_t i = 0; i < daemon->shard_count; i++)
    while (shard_tls_generation(daemon->shards[i].shard) < generation) {
      if (monotonic_ns() > deadline_ns) return false;
      usleep(100);
    }
  return true;
}

/* Connections that began with the old set keep what they need of it; it is freed when no shard will begin another with it, and
 * kept rather than risked when one does not move on in time. */
static void replace(struct daemon *daemon, struct tls_identities *set) {
  struct daemon_certificates *certificates = &daemon->certificates;
  struct tls_identities *old = certificates->set;
  set->generation = old->generation + 1;
  certificates->set = set;
  atomic_store_explicit(&certificates->publication.identities, set, memory_order_release);
  if (adopted(daemon, set->generation)) {
    free_set(old);
  } else {
    log_error("tls", "a shard has not adopted the new certificates in time; the old ones are kept in memory");
  }
  tell(daemon);
}

int certificates_reload(void *context, char *error, size_t room) {
  struct daemon *daemon = context;
  struct daemon_certificates *certificates = &daemon->certificates;
  if (!certificates->set) return 0; /* settled at start */
  pthread_mutex_lock(&certificates->lock);
  struct tls_identities *set = load(&daemon->config, error, room);
  certificates->reloads++;
  certificates->last_reload_succeeded = set != NULL;
  if (set) {
    replace(daemon, set);
  } else {
    certificates->reload_failures++;
    log_error("tls", "%s; the certificates before stay in force", error);
  }
  pthread_mutex_unlock(&certificates->lock);
  return set ? 0 : -EINVAL;
}

void certificates_view(struct daemon *daemon, struct appliance_snapshot *snapshot) {
  struct daemon_certificates *certificates = &daemon->certificates;
  pthread_mutex_lock(&certificates->lock);
  snapshot->certificate_reloads = certificates->reloads;
  snapshot->certificate_reload_failures = certificates->reload_failures;
  snapshot->last_certificate_reload_succeeded = certificates->last_reload_succeeded;
  for (unsigned i = 0; certificates->set && i < SHARD_LISTENERS; i++) {
    const struct tls_identity *identity = certificates->set->listeners[i];
    if (!identity) continue;
    const struct listener_tls listener = listener_at(&daemon->config, i);
    struct appliance_certificate *certificate = &snapshot->certificates[snapshot->certificate_count++];
    certificate->listener = listener.name;
    certificate->not_after_s = tls_identity_not_after_s(identity);
    certificate->asks_clients = listener.tls->client_ca[0] != '\0';
    for (unsigned b = 0; b < 32; b++) snprintf(certificate->sha256 + 2 * b, 3, "%02x", tls_identity_sha256(identity)[b]);
  }
  pthread_mutex_unlock(&certificates->lock);
}

void certificates_stop(struct daemon *daemon) { free_set(daemon->certificates.set); }
