/* Selective acknowledgements of ours (RFC 2018 section 4): the last places beyond a hole where bytes were kept. Where there are
 * more the oldest go untold; what is told is held, and only a shortage of blocks makes us give it up again (section 8). */
#include "tcp_internal.h"

static bool range_empty(const struct sequence_range *range) { return range->start == range->end; }

void tcp_sack_remember(struct stream *stream, uint32_t seq, uint32_t length) {
  if (!(stream->flags & STREAM_SACK)) return;
  struct sequence_range latest = {seq, seq + length};
  struct sequence_range others[TCP_SACK_BLOCKS_MAX];
  uint32_t count = 0;
  for (uint32_t i = 0; (stream->flags & STREAM_EARLY) && i < TCP_SACK_BLOCKS_MAX && !range_empty(&stream->early[i]); i++) {
    const struct sequence_range range = stream->early[i];
    if (seq_before(latest.end, range.start) || seq_before(range.end, latest.start)) {
      others[count++] = range;
      continue;
    }
    if (seq_before(range.start, latest.start)) latest.start = range.start;
    latest.end = seq_max(latest.end, range.end);
  }
  stream->flags |= STREAM_EARLY;
  stream->early[0] = latest;
  for (uint32_t i = 1; i < TCP_SACK_BLOCKS_MAX; i++) stream->early[i] = i <= count ? others[i - 1] : (struct sequence_range){0};
}

/* Keeps what lies behind `from` and, where that is asked for, before `to`. */
static void keep_within(struct stream *stream, uint32_t from, bool limited, uint32_t to) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < TCP_SACK_BLOCKS_MAX && !range_empty(&stream->early[i]); i++) {
    struct sequence_range range = stream->early[i];
    if (limited && seq_after(range.end, to)) range.end = to;
    if (!seq_after(range.start, from) || !seq_before(range.start, range.end)) continue;
    stream->early[count++] = range;
  }
  for (uint32_t i = count; i < TCP_SACK_BLOCKS_MAX; i++) stream->early[i] = (struct sequence_range){0};
  if (count == 0) stream->flags &= ~(uint32_t)STREAM_EARLY;
}

void tcp_sack_forget_from(struct stream *stream, uint32_t seq) {
  if (stream->flags & STREAM_EARLY) keep_within(stream, stream->rcv_nxt, true, seq);
}

void tcp_sack_trim(struct stream *stream) { keep_within(stream, stream->rcv_nxt, false, 0); }

uint8_t tcp_sack_write(struct stream *stream, uint8_t option[4 + 8 * TCP_SACK_BLOCKS_MAX]) {
  if (!(stream->flags & STREAM_EARLY)) return 0;
  uint32_t count = 0;
  while (count < TCP_SACK_BLOCKS_MAX && !range_empty(&stream->early[count])) count++;
  store_be32(option, 0x01010500u | (2 + 8 * count));
  for (uint32_t i = 0; i < count; i++) {
    store_be32(option + 4 + 8 * i, stream->early[i].start);
    store_be32(option + 8 + 8 * i, stream->early[i].end);
  }
  return (uint8_t)(4 + 8 * count);
}
