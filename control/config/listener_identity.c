#include "listener_identity.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_BYTES_MAX (1u << 20)

static bool read_pem(const char *path, bool secret, struct tls_text *text, char *what, size_t room) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  char *bytes = NULL;
  ssize_t got = -1;
  if (file < 0 || fstat(file, &status) != 0) {
    snprintf(what, room, "%s cannot be read: %s", path, strerror(errno));
  } else if (!S_ISREG(status.st_mode) || status.st_size > (off_t)PEM_BYTES_MAX) {
    snprintf(what, room, "%s is no file of at most %u bytes", path, PEM_BYTES_MAX);
  } else if (secret && (status.st_mode & (S_IRWXG | S_IRWXO))) {
    snprintf(what, room, "%s may be read by others than its owner; chmod 0600 it", path);
  } else if (!(bytes = malloc(PEM_BYTES_MAX)) || (got = read(file, bytes, PEM_BYTES_MAX)) < 0) {
    snprintf(what, room, "%s cannot be read: %s", path, strerror(errno));
    free(bytes);
  }
  if (file >= 0) close(file);
  if (got < 0) return false;
  *text = (struct tls_text){.bytes = bytes, .length = (uint32_t)got};
  return true;
}

static void forget(struct tls_text *text) {
  if (!text->bytes) return;
  explicit_bzero((void *)(uintptr_t)text->bytes, text->length);
  free((void *)(uintptr_t)text->bytes);
}

static const char *path_of(const struct config_tls *tls, enum tls_identity_file file) {
  return file == TLS_FILE_CERTIFICATE ? tls->certificate : file == TLS_FILE_KEY ? tls->key : tls->client_ca;
}

struct tls_identity *listener_identity_load(const struct config_tls *tls, struct listener_identity_fault *fault) {
  struct tls_identity_source source = {.client_name_count = tls->client_name_count};
  struct tls_text *const texts[] = {&source.certificate, &source.key, &source.client_ca};
  struct tls_identity *identity = NULL;
  bool good = true;
  _Static_assert(CONFIG_CLIENT_NAMES_MAX <= TLS_CLIENT_NAMES_MAX, "all fit");
  for (uint32_t i = 0; i < tls->client_name_count; i++) source.client_names[i] = tls->client_names[i];
  for (fault->file = TLS_FILE_CERTIFICATE; good && fault->file <= TLS_FILE_CLIENT_CA; fault->file++) {
    const char *path = path_of(tls, fault->file);
    if (path[0]) good = read_pem(path, fault->file == TLS_FILE_KEY, texts[fault->file], fault->what, sizeof fault->what);
    if (!good) break;
  }
  if (good) {
    struct tls_identity_fault why;
    identity = tls_identity_create(&source, &why);
    if (!identity) {
      fault->file = why.file;
      snprintf(fault->what, sizeof fault->what, "%s: %s", path_of(tls, why.file), why.what);
    }
  }
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) forget(texts[i]);
  return identity;
}
