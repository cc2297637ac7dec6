#include "management_internal.h"
#include <errno.h>

/* Returns when all that was published before is durable. */
enum MHD_Result handle_journal_flush(struct management_request *request) {
  uint64_t durable_lsn = 0;
  const int result = request->appliance->journal_flush(request->appliance->context, &durable_lsn);
  if (result == -ETIMEDOUT) return answer_error(request, 503, "journal", "the flush did not end within 10 s");
  if (result < 0) return answer_error(request, 503, "journal_failed", "the journal has failed; nothing can be made durable");
  return answer_json(request, 200, json_pack("{s:I}", "durable_lsn", (json_int_t)durable_lsn));
}
