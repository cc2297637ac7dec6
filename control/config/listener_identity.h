#pragma once
/* The PEM files of a listener's `tls:`, read and made an identity of: at start, by --check and at each reload. The key's file
 * must be its owner's alone. Threads: control. */
#include "config.h"
#include "tls_identity.h"

struct listener_identity_fault {
  enum tls_identity_file file;
  char what[CONFIG_PATH_BYTES + 160]; /* with the file's name */
};

/* NULL, and `fault` says why. */
struct tls_identity *listener_identity_load(const struct config_tls *tls, struct listener_identity_fault *fault);
