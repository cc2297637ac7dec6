#pragma once
/* What the clients know: which events were sent, what was answered, and so which violations must, may and must not be durable.
 * Every violation's message is the name of its entry. A wrong one ends the run with a message. */
#include "record.h"
#include <stdbool.h>
#include <stdint.h>

enum ledger_expectation {
  LEDGER_NEVER,    /* not sent, refused, or nothing to find fault with */
  LEDGER_MAY,      /* sent, and no answer yet; or what was only received when the power went */
  LEDGER_RECEIVED, /* answered `received`: durable at the latest when the appliance has stopped in order */
  LEDGER_DURABLE,  /* answered `durable`: from then on, whatever happens */
};

struct ledger_entry {
  const char *rule; /* the one that finds fault with it; static */
  uint32_t event;   /* attempts of one event share it */
  bool faulty;
  bool repeatable; /* a datagram, which the wire may double; a trace that outlived the appliance */
  bool of_trace;   /* its verdict is remembered for VERDICT_MEMORY_NS, and late spans are judged by it */
  uint64_t judged_ns;
  enum ledger_expectation expectation;
  bool found;        /* in the journal, in this life of the appliance */
  bool found_before; /* in an earlier life */
};

#define LEDGER_SHARDS_MAX 32

struct ledger {
  struct ledger_entry *entries;
  uint32_t count, room;
  uint64_t webhook_records;
  struct { /* by shard: the webhook that the last violations name; its own record comes after them */
    uint8_t correlation_id[16], last_id[16];
    uint32_t violations;
  } raised[LEDGER_SHARDS_MAX];
};

void ledger_free(struct ledger *ledger);
/* Returns the entry's number. */
uint32_t ledger_add(struct ledger *ledger, const char *rule, uint32_t event, bool faulty);
void ledger_name(uint32_t entry, char name[24]);
/* It is about to leave a client. */
void ledger_sent(struct ledger *ledger, uint32_t entry);
/* An answer arrived. RECEIVED and DURABLE are promises: a durable one must be found by now. NEVER: it was refused. */
void ledger_answered(struct ledger *ledger, uint32_t entry, enum ledger_expectation expectation);
/* A record of the journal. */
void ledger_read(struct ledger *ledger, const struct record_header *record);
/* The power went: what was only received may be lost. */
void ledger_power_cut(struct ledger *ledger);
/* A new life: the journal will be read from its start. */
void ledger_reread(struct ledger *ledger);
/* The recovered journal has been read: what was there before is there. */
void ledger_check_recovered(const struct ledger *ledger);
/* Everything promised is there. */
void ledger_check_promises(const struct ledger *ledger);
/* Of the events that were found faulty: the same for the same verdicts, whatever the attempts. Without those of datagrams, which
 * may be lost. */
uint64_t ledger_verdicts(const struct ledger *ledger, uint32_t *violations);
