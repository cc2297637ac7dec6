#pragma once
/* An accepted webhook as the API writes it; the command line writes the same from the journal's files. */
#include "webhook_record.h"
#include <jansson.h>

const char *webhook_kind_word(unsigned kind);
/* What an earlier release did not record is null. `with_body`: what was kept of it, too. */
json_t *json_webhook(const struct webhook_account *account, uint64_t lsn, const char *node, bool with_body);
