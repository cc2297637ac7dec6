/* The receive buffer: blocks at fixed distances in sequence space, so that bytes in any order go to their one place and a
 * connection never holds more than its window needs, however small the segments. Each block knows which of its bytes are
 * there; a segment that would need one range too many is dropped, and the peer sends it again. */
#include "tcp_internal.h"

#define RANGES_MAX 4
/* The last range is kept for bytes in order, which may then always be kept if there is a block. */
#define RANGES_OUT_OF_ORDER_MAX (RANGES_MAX - 1)
/* How far positions grow before they are counted from a later origin: well below the 2^32 at which they would wrap. */
#define POSITIONS_MAX (1u << 20)
/* Bytes out of order leave this share of the pool to bytes in order. */
#define POOL_RESERVE_DIVISOR 8

struct range {
  uint16_t start, end; /* offsets in the block, end exclusive */
};

struct receive_block {
  struct receive_block *next;
  uint32_t position; /* distance of its first byte from receive_origin; a multiple of the capacity */
  uint32_t range_count;
  struct range ranges[RANGES_MAX]; /* ascending, not touching */
  uint8_t bytes[RECEIVE_BLOCK_BYTES - 16 - sizeof(struct range) * RANGES_MAX];
};

_Static_assert(sizeof(struct receive_block) == RECEIVE_BLOCK_BYTES, "one pool item");
#define CAPACITY ((uint32_t)sizeof(((struct receive_block *)0)->bytes))

uint32_t reassembly_block_capacity(void) { return CAPACITY; }

/* The block that holds `position`, or NULL; `before` is set to the one that would precede it. */
static struct receive_block *block_find(const struct stream *stream, uint32_t position, struct receive_block **before) {
  *before = NULL;
  struct receive_block *block = stream->receive_head;
  if (stream->receive_tail && position >= stream->receive_tail->position + CAPACITY) {
    *before = stream->receive_tail;
    return NULL;
  }
  while (block && block->position + CAPACITY <= position) {
    *before = block;
    block = block->next;
  }
  return block && block->position <= position ? block : NULL;
}

/* In-order bytes may take the place of our own bytes out of order, farthest first: none of those was acknowledged. */
static void tail_evict(struct stream *stream, uint32_t position) {
  struct receive_block *before = NULL;
  for (struct receive_block *block = stream->receive_head; block != stream->receive_tail; block = block->next) before = block;
  struct receive_block *tail = stream->receive_tail;
  if (!tail || tail->position <= position) return;
  stream->network->counters.tcp_out_of_order_dropped++;
  tcp_sack_forget_from(stream, stream->receive_origin + tail->position);
  stream->receive_tail = before;
  if (before) before->next = NULL;
  if (!before) stream->receive_head = NULL;
  pool_give(&stream->network->receive_blocks, tail);
}

static struct receive_block *block_insert(struct stream *stream, uint32_t position, bool in_order) {
  struct pool *pool = &stream->network->receive_blocks;
  if (!in_order && pool_free_count(pool) <= pool->capacity / POOL_RESERVE_DIVISOR) return NULL;
  if (in_order && pool_free_count(pool) == 0) tail_evict(stream, position);
  struct receive_block *block = pool_take(pool);
  if (!block) return NULL;
  struct receive_block *before;
  block_find(stream, position, &before);
  block->position = position / CAPACITY * CAPACITY;
  block->range_count = 0;
  block->next = before ? before->next : stream->receive_head;
  if (before) before->next = block;
  if (!before) stream->receive_head = block;
  if (!block->next) stream->receive_tail = block;
  return block;
}

/* Marks [start, end); false when that takes one range too many. */
static bool range_add(struct receive_block *block, uint32_t start, uint32_t end, uint32_t most) {
  uint32_t first = 0;
  while (first < block->range_count && block->ranges[first].end < start) first++;
  uint32_t after = first;
  while (after < block->range_count && block->ranges[after].start <= end) after++;
  if (first == after) {
    if (block->range_count >= most) return false;
    memmove(&block->ranges[first + 1], &block->ranges[first], (block->range_count - first) * sizeof(struct range));
    block->ranges[first] = (struct range){(uint16_t)start, (uint16_t)end};
    block->range_count++;
    return true;
  }
  /* Touches or overlaps first .. after-1: they become one. */
  if (block->ranges[first].start > start) block->ranges[first].start = (uint16_t)start;
  const uint32_t last_end = block->ranges[after - 1].end;
  block->ranges[first].end = (uint16_t)(last_end > end ? last_end : end);
  memmove(&block->ranges[first + 1], &block->ranges[after], (block->range_count - after) * sizeof(struct range));
  block->range_count -= after - first - 1;
  return true;
}

uint32_t reassembly_store(struct stream *stream, uint32_t seq, const uint8_t *bytes, uint32_t length) {
  if (!stream->receive_head) stream->receive_origin = stream->delivered;
  const bool in_order = seq == stream->rcv_nxt;
  const uint32_t position = seq - stream->receive_origin;
  for (uint32_t done = 0; done < length;) {
    struct receive_block *before;
    struct receive_block *block = block_find(stream, position + done, &before);
    if (!block) block = block_insert(stream, position + done, in_order);
    if (!block) return done;
    const uint32_t start = position + done - block->position;
    const uint32_t part = length - done < CAPACITY - start ? length - done : CAPACITY - start;
    if (!range_add(block, start, start + part, in_order ? RANGES_MAX : RANGES_OUT_OF_ORDER_MAX)) return done;
    memcpy(block->bytes + start, bytes + done, part);
    done += part;
  }
  return length;
}

uint32_t reassembly_contiguous(const struct stream *stream, uint32_t seq) {
  uint32_t position = seq - stream->receive_origin;
  struct receive_block *before;
  for (const struct receive_block *block = block_find(stream, position, &before);
       block && block->position <= position && position < block->position + CAPACITY; block = block->next) {
    const uint32_t start = position - block->position;
    uint32_t i = 0;
    while (i < block->range_count && block->ranges[i].end <= start) i++;
    if (i == block->range_count || block->ranges[i].start > start) break;
    position = block->position + block->ranges[i].end;
  }
  return position - (seq - stream->receive_origin);
}

const uint8_t *reassembly_run(const struct stream *stream, uint32_t most, uint32_t *length) {
  struct receive_block *before;
  const uint32_t position = stream->delivered - stream->receive_origin;
  const struct receive_block *block = block_find(stream, position, &before);
  ALWAYS_ASSERT(block);
  const uint32_t start = position - block->position;
  *length = most < CAPACITY - start ? most : CAPACITY - start;
  return block->bytes + start;
}

static bool block_spent(const struct receive_block *block, uint32_t position) {
  const uint32_t end = block->range_count ? block->ranges[block->range_count - 1].end : 0;
  return block->position + CAPACITY <= position || (!block->next && block->position + end <= position);
}

/* Ranges that were delivered make room for new ones. */
static void ranges_forget(struct receive_block *block, uint32_t position) {
  uint32_t gone = 0;
  while (gone < block->range_count && block->position + block->ranges[gone].end <= position) gone++;
  block->range_count -= gone;
  memmove(&block->ranges[0], &block->ranges[gone], block->range_count * sizeof(struct range));
}

void reassembly_consumed(struct stream *stream) {
  const uint32_t position = stream->delivered - stream->receive_origin;
  while (stream->receive_head && block_spent(stream->receive_head, position)) {
    struct receive_block *block = stream->receive_head;
    stream->receive_head = block->next;
    if (!block->next) stream->receive_tail = NULL;
    pool_give(&stream->network->receive_blocks, block);
  }
  if (!stream->receive_head) return;
  ranges_forget(stream->receive_head, position);
  const uint32_t passed =
      stream->receive_head->position < position ? stream->receive_head->position : position / CAPACITY * CAPACITY;
  if (passed < POSITIONS_MAX) return;
  for (struct receive_block *block = stream->receive_head; block; block = block->next) block->position -= passed;
  stream->receive_origin += passed;
}

void reassembly_discard(struct stream *stream) {
  while (stream->receive_head) {
    struct receive_block *block = stream->receive_head;
    stream->receive_head = block->next;
    pool_give(&stream->network->receive_blocks, block);
  }
  stream->receive_tail = NULL;
  stream->flags &= ~(uint32_t)STREAM_EARLY;
}
