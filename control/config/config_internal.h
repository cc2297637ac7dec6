#pragma once
/* Inside the config room: the YAML tree walk that keeps file:line:column for each complaint. */
#include "config.h"
#include <yaml.h>

struct config_reader {
  const char *name; /* file, for messages */
  yaml_document_t document;
  FILE *errors;
  unsigned error_count;
};

void config_default_port(struct config_port *port);
void config_default_source(struct webhook_source *source);

void config_complain(struct config_reader *reader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *config_scalar(struct config_reader *reader, const yaml_node_t *node);
void config_read_text(struct config_reader *reader, const yaml_node_t *node, char *field, size_t room);
/* A whole number with an optional size suffix (KiB, MiB, GiB) or, with `duration`, a unit (ns us ms s m h). */
uint64_t config_read_number(struct config_reader *reader, const yaml_node_t *node, uint64_t least, uint64_t most);
uint64_t config_read_duration(struct config_reader *reader, const yaml_node_t *node, uint64_t most_ns);
/* A percentage such as 0.5%, in millionths. */
uint32_t config_read_share_ppm(struct config_reader *reader, const yaml_node_t *node);
bool config_read_bool(struct config_reader *reader, const yaml_node_t *node);
/* Index of the scalar in a NULL-terminated list of words, or -1 after complaining. */
int config_read_word(struct config_reader *reader, const yaml_node_t *node, const char *const *words);

/* One key of a mapping and who reads its value. */
struct config_key {
  const char *name;
  void (*read)(struct config_reader *reader, const yaml_node_t *value, void *target);
};
/* Calls the reader of each key; unknown and repeated keys are complaints, with the nearest known name. */
void config_read_mapping(struct config_reader *reader, const yaml_node_t *node, const struct config_key *keys, void *target);

/* The value of a mapping's key, or NULL. */
const yaml_node_t *config_find_value(struct config_reader *reader, const yaml_node_t *node, const char *name);

/* config_recording.c */
void config_read_recording(struct config_reader *reader, const yaml_node_t *node, struct webhook_recording *recording);
void config_read_source(struct config_reader *reader, const yaml_node_t *node, struct webhook_source *source);
/* `durability`, which says how soon records are flushed; and `acknowledge`, unless it goes without saying. */
enum record_durability config_read_durability(struct config_reader *reader, const yaml_node_t *node);
/* Answers wait for no relaxed flush: `acknowledge` is received then, and an error when it says durable. */
void config_check_durability(struct config_reader *reader, const yaml_node_t *node, enum record_durability durability,
                             bool *acknowledge_durable);
void config_read_port(struct config_reader *reader, const yaml_node_t *node, struct config_port *port);
/* Reads the files too, and complains where they are named. */
void config_read_listener_tls(struct config_reader *reader, const yaml_node_t *node, struct config_tls *tls);
/* Reads the key, too. */
void config_read_signing(struct config_reader *reader, const yaml_node_t *node, void *config);
void config_check_signing(struct config_reader *reader, const yaml_node_t *node, const struct config *config);
/* Without a word about it cursors may hold twice retain_bytes. */
void config_check_retention(struct config_reader *reader, const yaml_node_t *node, struct config *config);
void config_read_tls(struct config_reader *reader, const yaml_node_t *node, void *config);
void config_read_recorder(struct config_reader *reader, const yaml_node_t *node, void *config);
void config_read_traces(struct config_reader *reader, const yaml_node_t *node, void *config);
void config_read_listeners(struct config_reader *reader, const yaml_node_t *node, struct config *config);
/* Which listener a connection or a datagram is for is known by its port. */
void config_expect_distinct_ports(struct config_reader *reader, const yaml_node_t *root, const struct config *config);
