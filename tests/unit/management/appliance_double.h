#pragma once
/* What stands behind the management server in its tests: a snapshot filled by hand, a real book of rules whose records go
 * nowhere, and a real store over a real journal on the simulated disk. */
#include "appliance.h"
#include "journal_rig.h"
#include "webhook_fixture.h"
#include <stdatomic.h>

struct appliance_double {
  struct appliance face;
  struct appliance_start start;
  struct appliance_snapshot snapshot;
  struct rule_book *book;
  struct journal_io *io;
  struct journal_rig journal;
  struct violation_store *violations;
  struct cursor_table *cursors;
  struct cursor_readers *cursor_readers;
  int journal_trouble; /* what cursors are told of it */
  struct webhook_store *webhooks;
  int flush_result;
  int record_result; /* what the book is told of a record */
  int reload_result;
  unsigned certificate_reloads;
  const char *rules_in_others; /* a rule without a series of its own */
  uint64_t matches_gone[RULE_MODES];
  char changed_who[64];
  unsigned changes;
  atomic_uint reads, releases;
};

void appliance_double_open(struct appliance_double *appliance);
void appliance_double_close(struct appliance_double *appliance);
/* A durable webhook. */
void appliance_double_add_webhook(struct appliance_double *appliance, const struct webhook_fixture *webhook);
/* Durable violations: rule `rule`, wall time 1700000000 s plus their number in seconds. */
void appliance_double_add(struct appliance_double *appliance, const char *rule, uint32_t count);
