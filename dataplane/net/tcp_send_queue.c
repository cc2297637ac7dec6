/* Bytes that the peer has not acknowledged, in blocks of the shared send pool: the head holds snd_una. */
#include "tcp_internal.h"

struct send_block {
  struct send_block *next;
  uint8_t bytes[SEND_BLOCK_BYTES - sizeof(struct send_block *)];
};

#define SEND_BLOCK_CAPACITY ((uint32_t)sizeof(((struct send_block *)0)->bytes))

/* What connections that hold something leave to those that hold nothing. */
#define POOL_RESERVE_DIVISOR 8

/* A connection may hold as much of the pool as it leaves free, so n of them leave an n-plus-first part of it whatever they do;
 * one that holds nothing gets a block while there is any. */
static uint64_t pool_share(const struct stream *stream) {
  const struct pool *blocks = &stream->network->send_blocks;
  const uint32_t free = pool_free_count(blocks), reserve = blocks->capacity / POOL_RESERVE_DIVISOR;
  const uint64_t free_bytes = (uint64_t)(free > reserve ? free - reserve : 0) * SEND_BLOCK_CAPACITY;
  const uint64_t held = stream->send_queued, share = free_bytes > held ? (free_bytes - held) / 2 : 0;
  if (held == 0 && share < SEND_BLOCK_CAPACITY) return free ? SEND_BLOCK_CAPACITY : 0;
  return share;
}

uint32_t send_queue_room(const struct stream *stream) {
  const uint32_t limit = stream->network->config.send_buffer_bytes;
  const uint32_t own = limit > stream->send_queued ? limit - stream->send_queued : 0;
  const uint64_t pool = pool_share(stream) + (stream->send_tail ? SEND_BLOCK_CAPACITY - stream->send_tail_used : 0);
  return own < pool ? own : (uint32_t)pool;
}

static bool block_append(struct stream *stream) {
  struct send_block *block = pool_take(&stream->network->send_blocks);
  if (!block) return false;
  block->next = NULL;
  if (stream->send_tail) {
    stream->send_tail->next = block;
  } else {
    stream->send_head = block;
    stream->send_head_offset = 0;
  }
  stream->send_tail = block;
  stream->send_tail_used = 0;
  return true;
}

uint32_t send_queue_append(struct stream *stream, const uint8_t *bytes, uint32_t length) {
  const uint32_t room = send_queue_room(stream);
  if (length > room) length = room;
  for (uint32_t done = 0; done < length;) {
    if ((!stream->send_tail || stream->send_tail_used == SEND_BLOCK_CAPACITY) && !block_append(stream)) return done;
    const uint32_t space = SEND_BLOCK_CAPACITY - stream->send_tail_used;
    const uint32_t part = length - done < space ? length - done : space;
    memcpy(stream->send_tail->bytes + stream->send_tail_used, bytes + done, part);
    stream->send_tail_used = (uint16_t)(stream->send_tail_used + part);
    stream->send_queued += part;
    done += part;
  }
  return length;
}

void send_queue_copy(const struct stream *stream, uint32_t offset, uint8_t *to, uint32_t length) {
  const struct send_block *block = stream->send_head;
  uint32_t at = stream->send_head_offset + offset;
  while (at >= SEND_BLOCK_CAPACITY && length) {
    at -= SEND_BLOCK_CAPACITY;
    block = block->next;
  }
  while (length) {
    const uint32_t part = length < SEND_BLOCK_CAPACITY - at ? length : SEND_BLOCK_CAPACITY - at;
    memcpy(to, block->bytes + at, part);
    to += part;
    length -= part;
    at = 0;
    block = block->next;
  }
}

static void head_drop(struct stream *stream) {
  struct send_block *block = stream->send_head;
  stream->send_head = block->next;
  stream->send_head_offset = 0;
  if (!stream->send_head) stream->send_tail = NULL;
  pool_give(&stream->network->send_blocks, block);
}

void send_queue_release(struct stream *stream, uint32_t length) {
  ALWAYS_ASSERT(length <= stream->send_queued);
  stream->send_queued -= length;
  while (length) {
    const uint32_t left = SEND_BLOCK_CAPACITY - stream->send_head_offset;
    const uint32_t part = length < left ? length : left;
    stream->send_head_offset = (uint16_t)(stream->send_head_offset + part);
    length -= part;
    if (part == left) head_drop(stream);
  }
  /* An idle connection holds no block. */
  if (stream->send_queued == 0 && stream->send_head) head_drop(stream);
}

void send_queue_discard(struct stream *stream) {
  while (stream->send_head) head_drop(stream);
  stream->send_queued = 0;
}
