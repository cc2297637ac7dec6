#include "config_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct secret_text {
  char id[32], text[1024], file[CONFIG_PATH_BYTES];
};

#define SOURCE ((struct webhook_source *)target)

static void read_source_name(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, SOURCE->name, sizeof SOURCE->name);
  if (SOURCE->name[0] == '\0' ||
      SOURCE->name[strspn(SOURCE->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")])
    config_complain(reader, node, "a source name is made of letters, digits, '-', '_' and '.'");
}

/* `kind` is needed before the secrets can be prepared: it is read in a pass of its own. */
static void read_source_kind(struct config_reader *reader, const yaml_node_t *node, void *target) {
  static const char *const words[] = {"json", "alertmanager", "github", "standard-webhooks", NULL};
  const int kind = config_read_word(reader, node, words);
  if (kind >= 0) SOURCE->kind = (enum webhook_kind)kind;
}

static void read_source_acknowledge(struct config_reader *reader, const yaml_node_t *node, void *target) {
  static const char *const words[] = {"received", "durable", NULL};
  SOURCE->acknowledge_durable = config_read_word(reader, node, words) == 1;
}

static void read_source_durability(struct config_reader *reader, const yaml_node_t *node, void *target) {
  SOURCE->durability = config_read_durability(reader, node);
}

static void read_source_body(struct config_reader *reader, const yaml_node_t *node, void *target) {
  SOURCE->max_body_bytes = (uint32_t)config_read_number(reader, node, 1, 20971520);
}

static void read_source_window(struct config_reader *reader, const yaml_node_t *node, void *target) {
  SOURCE->window_ns = config_read_duration(reader, node, 86400ull * 1000000000);
}

static void read_source_skew(struct config_reader *reader, const yaml_node_t *node, void *target) {
  SOURCE->skew_ns = config_read_duration(reader, node, 3600ull * 1000000000);
}

static void read_source_recording(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_recording(reader, node, &SOURCE->recording);
}

static void read_secret_id(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, ((struct secret_text *)target)->id, sizeof(((struct secret_text *)0)->id));
}

static void read_secret_text(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, ((struct secret_text *)target)->text, sizeof(((struct secret_text *)0)->text));
}

static void read_secret_path(struct config_reader *reader, const yaml_node_t *node, void *target) {
  config_read_text(reader, node, ((struct secret_text *)target)->file, sizeof(((struct secret_text *)0)->file));
}

static const struct config_key secret_keys[] = {
    {"id", read_secret_id}, {"secret", read_secret_text}, {"secret_file", read_secret_path}, {NULL, NULL}};

/* A file that others may read is not a secret. One trailing newline is not part of it. */
static bool read_secret_file(struct config_reader *reader, const yaml_node_t *node, struct secret_text *secret) {
  const int file = open(secret->file, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) {
    config_complain(reader, node, "secret_file %s cannot be read: %s", secret->file, strerror(errno));
    if (file >= 0) close(file);
    return false;
  }
  const ssize_t got = read(file, secret->text, sizeof secret->text - 1);
  close(file);
  if (status.st_mode & (S_IRWXG | S_IRWXO)) {
    config_complain(reader, node, "secret_file %s may be read by others than its owner; chmod 0600 it", secret->file);
    return false;
  }
  if (got <= 0 || (size_t)got >= sizeof secret->text - 1) {
    config_complain(reader, node, "secret_file %s is empty or too long", secret->file);
    return false;
  }
  secret->text[got] = '\0';
  if (secret->text[got - 1] == '\n') secret->text[got - 1] = '\0';
  return true;
}

static void read_one_secret(struct config_reader *reader, const yaml_node_t *node, struct webhook_source *source) {
  struct secret_text secret = {0};
  config_read_mapping(reader, node, secret_keys, &secret);
  if (source->secret_count == WEBHOOK_SECRETS_MAX) {
    config_complain(reader, node, "at most %d secrets a source", WEBHOOK_SECRETS_MAX);
  } else if ((secret.text[0] != '\0') == (secret.file[0] != '\0')) {
    config_complain(reader, node, "a secret has either `secret` or `secret_file`");
  } else if (secret.text[0] || read_secret_file(reader, node, &secret)) {
    struct webhook_secret *prepared = &source->secrets[source->secret_count];
    if (webhook_secret_prepare(source->kind, secret.text, (uint32_t)strlen(secret.text), prepared) != 0) {
      config_complain(reader, node, "the secret is not valid for this kind of source");
    } else {
      memcpy(prepared->id, secret.id, sizeof prepared->id);
      source->secret_count++;
    }
  }
  explicit_bzero(&secret, sizeof secret);
}

static void read_source_secrets(struct config_reader *reader, const yaml_node_t *node, void *target) {
  if (node->type != YAML_SEQUENCE_NODE) {
    config_complain(reader, node, "a list of secrets is expected here");
    return;
  }
  for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
    read_one_secret(reader, yaml_document_get_node(&reader->document, *item), SOURCE);
}

static const struct config_key source_keys[] = {{"name", read_source_name},
                                                {"kind", read_source_kind},
                                                {"acknowledge", read_source_acknowledge},
                                                {"durability", read_source_durability},
                                                {"max_body_bytes", read_source_body},
                                                {"window", read_source_window},
                                                {"skew", read_source_skew},
                                                {"record", read_source_recording},
                                                {"secrets", read_source_secrets},
                                                {NULL, NULL}};

void config_read_source(struct config_reader *reader, const yaml_node_t *node, struct webhook_source *source) {
  config_default_source(source);
  const yaml_node_t *kind = config_find_value(reader, node, "kind");
  if (kind && kind->type == YAML_SCALAR_NODE) read_source_kind(reader, kind, source);
  const unsigned errors_before = reader->error_count;
  config_read_mapping(reader, node, source_keys, source);
  config_check_durability(reader, node, source->durability, &source->acknowledge_durable);
  if (reader->error_count != errors_before) return;
  if (source->name[0] == '\0') config_complain(reader, node, "a source needs a name");
  if (source->secret_count == 0 && (source->kind == WEBHOOK_GITHUB || source->kind == WEBHOOK_STANDARD))
    config_complain(reader, node, "a source of this kind is signed: it needs at least one secret");
}
