#include "jaeger.h"
#include "shard_internal.h"

static void decode(struct shard *shard, const uint8_t *bytes, uint32_t length, struct event_batch *batch,
                   struct span_result *result) {
  jaeger_decode_compact(bytes, length, batch, &shard->sink, result);
}

void shard_receive_jaeger_datagram(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                                   uint32_t length, uint64_t now_ns) {
  static const struct span_format format = {.decode = decode};
  struct shard *shard = context;
  struct datagram_counters *counters = &shard->counters.jaeger_datagrams;
  const uint16_t port = shard->config.jaeger_port;
  (void)source_port, (void)now_ns;
  switch (jaeger_message_of(bytes, length)) {
  case JAEGER_BATCH:
    shard_take_span_datagram(shard, bytes, length, &format, counters, source, port);
    break;
  case JAEGER_OTHER_PROTOCOL:
    shard_count_datagram(shard, counters, DATAGRAM_PROTOCOL, source, port, length);
    break;
  case JAEGER_OTHER_METHOD:
    shard_count_datagram(shard, counters, DATAGRAM_METHOD, source, port, length);
    break;
  case JAEGER_MALFORMED:
    shard_count_datagram(shard, counters, DATAGRAM_MALFORMED, source, port, length);
    break;
  }
}
