#include "jaeger.h"
#include "shard_internal.h"

static void decode(struct shard *shard, const uint8_t *bytes, uint32_t length, struct event_batch *batch,
                   struct span_result *result) {
  jaeger_decode_compact(bytes, length, batch, &shard->sink, result);
}

static void refuse(struct shard *shard, enum datagram_outcome outcome) {
  shard->counters.jaeger_datagrams.received++;
  shard->counters.jaeger_datagrams.outcomes[outcome]++;
}

void shard_receive_jaeger_datagram(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                                   uint32_t length, uint64_t now_ns) {
  static const struct span_format format = {.decode = decode};
  struct shard *shard = context;
  (void)source, (void)source_port, (void)now_ns;
  switch (jaeger_message_of(bytes, length)) {
  case JAEGER_BATCH:
    shard_take_span_datagram(shard, bytes, length, &format, &shard->counters.jaeger_datagrams);
    break;
  case JAEGER_OTHER_PROTOCOL:
    refuse(shard, DATAGRAM_PROTOCOL);
    break;
  case JAEGER_OTHER_METHOD:
    refuse(shard, DATAGRAM_METHOD);
    break;
  case JAEGER_MALFORMED:
    refuse(shard, DATAGRAM_MALFORMED);
    break;
  }
}
