#pragma once
/* A whole journal of three segments on a simulated disk, and edits of it that an input describes: for the fuzzers of what reads
 * journals. */
#include "cursor.h"
#include "journal_rig.h"

struct journal_io *edits_disk(void);
void edits_make(struct disk_image *whole, bool with_violations);
/* Whether checksums were made right again after an edit: then what stands behind them may be anything. */
bool edits_put(struct journal_io *io, const uint8_t *bytes, size_t length);
