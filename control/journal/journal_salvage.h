#pragma once
/* Brings all that can be read out of a damaged journal into a new one. The old one is left as it is. */
#include "journal_scan.h"

/* Copies every good record, in order, into the journal of `to`, which must be empty: with the node id, the sizes of the old one,
 * a new salt, and new LSNs from 1 on without gaps. Records of retention, which speak of the old one's segments, stay behind.
 * `scan` says what was found; `damage` (may be NULL) is told of each place. 0 or -errno (-EEXIST: `to` has a journal; -ENODATA:
 * there is no good segment header) with *why. */
int journal_salvage(struct journal_io *from, struct journal_io *to, uint64_t salt, const struct journal_scan_handler *handler,
                    struct journal_scan *scan, uint64_t *records, const char **why);
