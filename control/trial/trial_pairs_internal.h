#pragma once
/* Violations of two sides, paired by what they are about. */
#include "trial_host.h"

enum trial_side { SIDE_NEW, SIDE_CURRENT };
enum trial_pairing { PAIRED_BOTH, PAIRED_ONLY_NEW, PAIRED_ONLY_CURRENT, PAIRED_NOT_JUDGED, PAIRINGS };
const char *trial_pairing_name(enum trial_pairing pairing);

#define PAIRS_WAITING_MAX 16384u /* beyond: the oldest is taken to have no like */

struct trial_pairs;
struct trial_pairs *trial_pairs_create(size_t limit);
void trial_pairs_free(struct trial_pairs *pairs);
void trial_pairs_add(struct trial_pairs *pairs, enum trial_side side, const struct violation *violation);
/* Without looking for its like. */
void trial_pairs_settle(struct trial_pairs *pairs, enum trial_pairing pairing, const struct violation *violation);
/* What still waits has no like. Then {totals, rules, violations}. */
json_t *trial_pairs_finish(struct trial_pairs *pairs, bool with_not_judged);
