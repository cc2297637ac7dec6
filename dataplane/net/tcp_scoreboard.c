/* What the peer says it has beyond a hole (RFC 2018 section 5), and what follows from it in a recovery (RFC 6675). A fixed number
 * of ranges, the lowest win: the holes before them are exactly known, and what lies behind the last counts as under way. Where
 * the peer's words do not reach, a partial ACK names the next lost segment as RFC 6582 has it. A timeout forgets all of it, so a
 * peer that takes its word back (section 8) loses nothing but time. */
#include "tcp_internal.h"

#define DUPLICATES 3u

static uint32_t range_count(const struct stream *stream) {
  uint32_t count = 0;
  if (!(stream->flags & STREAM_SACKED)) return 0;
  while (count < TCP_SCOREBOARD_RANGES && stream->sacked[count].start != stream->sacked[count].end) count++;
  return count;
}

static void ranges_set(struct stream *stream, const struct sequence_range *ranges, uint32_t count) {
  if (count > TCP_SCOREBOARD_RANGES) count = TCP_SCOREBOARD_RANGES;
  memset(stream->sacked, 0, sizeof stream->sacked);
  stream->flags &= ~(uint32_t)STREAM_SACKED;
  if (count == 0) return;
  memcpy(stream->sacked, ranges, count * sizeof *ranges);
  stream->flags |= STREAM_SACKED;
}

/* True when some of [start, end) was not known. */
static bool range_take(struct stream *stream, struct sequence_range taken) {
  struct sequence_range ranges[TCP_SCOREBOARD_RANGES + 1];
  const uint32_t before = range_count(stream);
  uint32_t count = 0, i = 0;
  for (; i < before && seq_before(stream->sacked[i].end, taken.start); i++) ranges[count++] = stream->sacked[i];
  for (; i < before && seq_at_or_before(stream->sacked[i].start, taken.end); i++) {
    const struct sequence_range known = stream->sacked[i];
    if (seq_at_or_before(known.start, taken.start) && seq_at_or_before(taken.end, known.end)) return false;
    if (seq_before(known.start, taken.start)) taken.start = known.start;
    taken.end = seq_max(taken.end, known.end);
  }
  /* No room behind the last: it may be said again when there is some. */
  if (count == TCP_SCOREBOARD_RANGES) return false;
  ranges[count++] = taken;
  for (; i < before; i++) ranges[count++] = stream->sacked[i];
  ranges_set(stream, ranges, count);
  return true;
}

bool scoreboard_take(struct stream *stream, const struct segment *segment) {
  bool fresh = false;
  for (uint32_t i = 0; i < segment->options.sack_count; i++) {
    const struct sequence_range range = {load_be32(segment->options.sack + 8 * i), load_be32(segment->options.sack + 8 * i + 4)};
    /* At or before snd_una it repeats what is acknowledged: RFC 2883, or an answer to a probe. */
    if (seq_before(range.start, range.end) && seq_at_or_before(range.start, stream->snd_una) &&
        seq_at_or_before(range.end, stream->snd_max)) {
      continue;
    }
    if (!seq_before(range.start, range.end) || seq_after(range.end, stream->snd_max) || seq_after(range.start, stream->snd_max)) {
      stream->network->counters.tcp_sack_refused++;
      continue;
    }
    if (range_take(stream, range)) fresh = true;
  }
  return fresh;
}

void scoreboard_trim(struct stream *stream) {
  if (!(stream->flags & STREAM_SACKED)) return;
  struct sequence_range ranges[TCP_SCOREBOARD_RANGES];
  const uint32_t before = range_count(stream);
  uint32_t count = 0;
  for (uint32_t i = 0; i < before; i++) {
    if (seq_after(stream->sacked[i].start, stream->snd_una)) ranges[count++] = stream->sacked[i];
  }
  ranges_set(stream, ranges, count);
}

void scoreboard_forget(struct stream *stream) {
  if (stream->flags & STREAM_SACKED) ranges_set(stream, NULL, 0);
}

uint32_t scoreboard_below(const struct stream *stream, uint32_t seq) {
  uint32_t bytes = 0;
  const uint32_t count = range_count(stream);
  for (uint32_t i = 0; i < count && seq_before(stream->sacked[i].start, seq); i++) {
    bytes += (seq_before(stream->sacked[i].end, seq) ? stream->sacked[i].end : seq) - stream->sacked[i].start;
  }
  return bytes;
}

uint32_t scoreboard_skip(const struct stream *stream, uint32_t seq, uint32_t *length) {
  const uint32_t count = range_count(stream);
  for (uint32_t i = 0; i < count; i++) {
    const struct sequence_range *range = &stream->sacked[i];
    if (seq_at_or_before(range->end, seq)) continue;
    if (seq_at_or_before(range->start, seq)) {
      seq = range->end;
      continue;
    }
    if (*length > range->start - seq) *length = range->start - seq;
    break;
  }
  return seq;
}

/* RFC 6675 IsLost of the hole before range `first`: three ranges behind it, or more than two segments. */
static bool hole_lost(const struct stream *stream, uint32_t first, uint32_t count) {
  uint32_t bytes = 0;
  for (uint32_t i = first; i < count; i++) bytes += stream->sacked[i].end - stream->sacked[i].start;
  return count - first >= DUPLICATES || bytes > (DUPLICATES - 1) * stream->mss;
}

bool scoreboard_first_lost(const struct stream *stream) {
  const uint32_t count = range_count(stream);
  return count > 0 && hole_lost(stream, 0, count);
}

/* A segment at `seq` of a hole that ends at `end`. */
static void segment_fit(const struct stream *stream, struct lost_segment *lost, uint32_t seq, uint32_t end) {
  const uint32_t data_end = stream->snd_una + stream->send_queued, offset = seq - stream->snd_una;
  const uint32_t room = stream->snd_wnd > offset ? stream->snd_wnd - offset : 0;
  uint32_t length = seq_before(seq, data_end) ? data_end - seq : 0;
  if (length > end - seq) length = end - seq;
  if (length > stream->mss) length = stream->mss;
  if (length > room) length = room;
  lost->seq = seq;
  lost->length = length;
  /* Beyond the last byte only our FIN was sent. */
  lost->fin = seq + length == data_end && seq_after(end, data_end);
}

struct lost_segment scoreboard_next_lost(const struct stream *stream) {
  struct lost_segment lost = {0};
  const uint32_t count = range_count(stream);
  uint32_t start = stream->snd_una;
  bool found = false;
  for (uint32_t i = 0; i <= count; i++) {
    const uint32_t end = i < count ? stream->sacked[i].start : stream->snd_max;
    const bool whole_lost = i < count && hole_lost(stream, i, count);
    const bool resent = seq_before(start, stream->resent);
    if (!whole_lost) lost.pipe += end - start;
    if (resent) lost.pipe += (seq_before(stream->resent, end) ? stream->resent : end) - start;
    const uint32_t from = resent ? stream->resent : start;
    if (!found && seq_before(from, end) && (whole_lost || (i == 0 && !resent))) {
      segment_fit(stream, &lost, from, end);
      found = true;
    }
    if (i < count) start = stream->sacked[i].end;
  }
  return lost;
}
