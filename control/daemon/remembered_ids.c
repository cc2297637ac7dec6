#include "remembered_ids.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 1024u

struct remembered_ids {
  pthread_mutex_t lock;
  struct remembered_id *ids;
  size_t count, room;
  uint64_t last_lsn;
  bool recovered;
};

struct remembered_ids *remembered_ids_create(void) {
  struct remembered_ids *remembered = calloc(1, sizeof *remembered);
  if (remembered) pthread_mutex_init(&remembered->lock, NULL);
  return remembered;
}

void remembered_ids_destroy(struct remembered_ids *remembered) {
  if (!remembered) return;
  pthread_mutex_destroy(&remembered->lock);
  free(remembered->ids);
  free(remembered);
}

static void let_go(struct remembered_ids *remembered, uint64_t wall_ns) {
  size_t kept = 0;
  for (size_t i = 0; i < remembered->count; i++)
    if (remembered->ids[i].remember_until_ns > wall_ns) remembered->ids[kept++] = remembered->ids[i];
  remembered->count = kept;
}

/* Grows only when most are still to be remembered. */
static bool make_room(struct remembered_ids *remembered, uint64_t wall_ns) {
  if (remembered->count < remembered->room) return true;
  let_go(remembered, wall_ns);
  if (remembered->room && remembered->count <= remembered->room / 2) return true;
  const size_t room = remembered->room ? 2 * remembered->room : ROOM_LEAST;
  struct remembered_id *grown = realloc(remembered->ids, room * sizeof *grown);
  if (!grown) return remembered->count < remembered->room;
  remembered->ids = grown;
  remembered->room = room;
  return true;
}

static bool take(struct remembered_ids *remembered, const struct remembered_id *id, uint64_t wall_ns) {
  if (id->remember_until_ns <= wall_ns) return true;
  if (!make_room(remembered, wall_ns)) return false;
  remembered->ids[remembered->count++] = *id;
  return true;
}

static bool take_webhook(struct remembered_ids *remembered, const struct webhook_record *webhook, uint64_t wall_ns) {
  struct remembered_id id = {.remember_until_ns = webhook->remember_until_ns, .status = webhook->status};
  memcpy(id.key, webhook->id_key, sizeof id.key);
  memcpy(id.body_sha256, webhook->body_sha256, sizeof id.body_sha256);
  memcpy(id.correlation_id, webhook->correlation_id, sizeof id.correlation_id);
  return take(remembered, &id, wall_ns);
}

static bool take_part(struct remembered_ids *remembered, const struct remembered_ids_record *part, uint64_t wall_ns) {
  if (part->header.bytes < sizeof *part || part->count > REMEMBERED_IDS_A_RECORD) return true;
  if (part->header.bytes != sizeof *part + part->count * sizeof part->ids[0]) return true;
  bool good = true;
  for (uint32_t i = 0; i < part->count; i++) good = take(remembered, &part->ids[i], wall_ns) && good;
  return good;
}

bool remembered_ids_see(struct remembered_ids *remembered, uint64_t lsn, const struct record_header *record, uint64_t wall_ns) {
  bool good = true;
  pthread_mutex_lock(&remembered->lock);
  if (lsn > remembered->last_lsn) {
    remembered->last_lsn = lsn;
    if (record->type == RECORD_WEBHOOK && record->bytes >= sizeof(struct webhook_record))
      good = take_webhook(remembered, (const struct webhook_record *)record, wall_ns);
    else if (record->type == RECORD_REPLAY_IDS && !remembered->recovered)
      good = take_part(remembered, (const struct remembered_ids_record *)record, wall_ns);
  }
  pthread_mutex_unlock(&remembered->lock);
  return good;
}

/* By key; of one key the one that is remembered longest first. */
static int compare(const void *left, const void *right) {
  const struct remembered_id *a = left, *b = right;
  const int order = memcmp(a->key, b->key, sizeof a->key);
  if (order != 0) return order;
  return a->remember_until_ns > b->remember_until_ns ? -1 : a->remember_until_ns < b->remember_until_ns;
}

void remembered_ids_recovered(struct remembered_ids *remembered) {
  pthread_mutex_lock(&remembered->lock);
  remembered->recovered = true;
  if (remembered->count > 1) qsort(remembered->ids, remembered->count, sizeof remembered->ids[0], compare);
  size_t kept = 0;
  for (size_t i = 0; i < remembered->count; i++)
    if (kept == 0 || memcmp(remembered->ids[kept - 1].key, remembered->ids[i].key, sizeof remembered->ids[i].key) != 0)
      remembered->ids[kept++] = remembered->ids[i];
  remembered->count = kept;
  pthread_mutex_unlock(&remembered->lock);
}

int remembered_ids_copy(struct remembered_ids *remembered, uint64_t wall_ns, struct remembered_id **ids, size_t *count) {
  pthread_mutex_lock(&remembered->lock);
  let_go(remembered, wall_ns);
  *count = remembered->count;
  *ids = *count ? malloc(*count * sizeof **ids) : NULL;
  if (*ids) memcpy(*ids, remembered->ids, *count * sizeof **ids);
  pthread_mutex_unlock(&remembered->lock);
  return *count && !*ids ? -ENOMEM : 0;
}
