#pragma once
/* Holds the checkpoints of a journal against the chain as it is found, while it is scanned (journal_scan.h). Threads: one. */
#include "journal_checkpoint.h"

struct checkpoint_audit;

struct checkpoint_report {
  uint64_t checkpoints;    /* met */
  uint64_t verified;       /* signed by a key at hand, and the chain is the one they signed */
  uint64_t unknown_keys;   /* signed by no key at hand; the chain agrees */
  uint64_t older;          /* about what is no longer kept: only the signature could be looked at */
  uint64_t wrong;          /* signature or chain do not hold */
  uint64_t signed_lsn;     /* everything up to here is as a verified checkpoint says; 0: nothing */
  uint64_t signed_wall_ns; /* when that was signed */
  uint64_t first_wrong_lsn;
  char first_wrong[160];
};

/* The keys stay the caller's. NULL: no memory. */
struct checkpoint_audit *checkpoint_audit_create(struct checkpoint_key *const *keys, size_t key_count);
void checkpoint_audit_free(struct checkpoint_audit *audit);
/* As journal_scan gives them; a batch comes after its records. */
void checkpoint_audit_record(struct checkpoint_audit *audit, uint64_t lsn, const struct record_header *record);
void checkpoint_audit_batch(struct checkpoint_audit *audit, uint64_t last_lsn, const uint8_t *chain);
/* False: there was no memory for it. */
bool checkpoint_audit_result(const struct checkpoint_audit *audit, struct checkpoint_report *report);
