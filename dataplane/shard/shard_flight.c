#include "flight_text.h"
#include "shard_internal.h"

bool shard_flight_create(struct shard *shard, struct arena *arena) {
  const struct flight_config config = {
      .shard = shard->config.shard, .events = shard->config.recorder.events, .sample_every = shard->config.recorder.sample_every};
  if (config.events == 0) return true;
  shard->recorder = flight_recorder_create(arena, &config);
  return shard->recorder != NULL;
}

static enum flight_protocol protocol_of(const struct shard *shard, uint16_t port) {
  if (port == shard->config.otlp.port) return FLIGHT_OTLP_HTTP;
  if (port == shard->config.otlp_grpc.port) return FLIGHT_OTLP_GRPC;
  return port == shard->config.zipkin.port ? FLIGHT_ZIPKIN : FLIGHT_WEBHOOKS;
}

static void record(struct shard *shard, struct flight_event *event) {
  event->wall_ns = shard->wall_ns;
  flight_record(shard->recorder, event);
}

static void record_request(struct shard *shard, enum flight_kind kind, const struct http_request *request, uint16_t status,
                           uint32_t code) {
  const struct flight_request about = {.status = status,
                                       .protocol = protocol_of(shard, request->local_port),
                                       .version = request->grpc    ? FLIGHT_GRPC
                                                  : request->http2 ? FLIGHT_HTTP_2
                                                                   : FLIGHT_HTTP_1,
                                       .forced = kind == FLIGHT_REQUEST_RECEIVED && code,
                                       .parked = shard->received_ns != shard->now_ns};
  struct flight_event event = {.kind = (uint16_t)kind, .code = code};
  memcpy(event.values, request->peer.words, sizeof request->peer.words);
  event.values[2] = flight_pack(&about);
  event.values[3] = request->body_bytes;
  event.values[4] = shard->now_ns - shard->received_ns;
  record(shard, &event);
}

void shard_flight_received(struct shard *shard, const struct http_request *request) {
  if (!shard->recorder) return;
  shard->received_ns = shard->now_ns;
  shard->sampled = flight_samples(shard->recorder);
  /* A client that forces every request gets no more of the recorder than a flood of errors would. */
  const bool forced = !shard->sampled && http_request_header(request, "x-force-trace").at;
  if (forced) shard->sampled = flight_admits(shard->recorder, FLIGHT_REQUEST_RECEIVED, shard->now_ns);
  if (shard->sampled) record_request(shard, FLIGHT_REQUEST_RECEIVED, request, 0, forced);
}

void shard_flight_resume(struct shard *shard, const struct parked *parked) {
  shard->sampled = parked->sampled;
  shard->received_ns = parked->received_ns;
}

static void record_refusal(struct shard *shard, const struct http_request *request, uint16_t status, const char *code) {
  const enum flight_kind kind = status == 400 || status == 422 ? FLIGHT_MALFORMED : FLIGHT_REQUEST_REFUSED;
  if (flight_admits(shard->recorder, kind, shard->now_ns))
    record_request(shard, kind, request, status, flight_reason_of_name(code));
}

void shard_respond(struct shard *shard, struct http_exchange *exchange, const struct http_response *response, const char *code) {
  if (shard->recorder && (code || shard->sampled)) {
    const struct http_request *request = http_exchange_request(exchange);
    if (code)
      record_refusal(shard, request, response->status, code);
    else
      record_request(shard, FLIGHT_REQUEST_ANSWERED, request, response->status, 0);
  }
  http_respond(exchange, response, shard->now_ns);
}

void shard_flight_refused(struct shard *shard, const struct http_request *request, uint16_t status, const char *code) {
  if (!shard->recorder) return;
  shard->received_ns = shard->now_ns;
  record_refusal(shard, request, status, code);
}

void shard_flight_datagram(struct shard *shard, const struct ip_address *source, uint16_t port, uint32_t bytes,
                           enum datagram_outcome outcome) {
  const enum flight_kind kind = outcome == DATAGRAM_MALFORMED ? FLIGHT_MALFORMED : FLIGHT_REQUEST_REFUSED;
  if (!shard->recorder || !flight_admits(shard->recorder, kind, shard->now_ns)) return;
  const struct flight_request about = {.protocol = port == shard->config.otlp.port ? FLIGHT_OTLP_UDP : FLIGHT_JAEGER_UDP,
                                       .version = FLIGHT_UDP};
  struct flight_event event = {.kind = (uint16_t)kind, .code = flight_reason_of_datagram(outcome)};
  memcpy(event.values, source->words, sizeof source->words);
  event.values[2] = flight_pack(&about);
  event.values[3] = bytes;
  record(shard, &event);
}

static void record_connection(struct shard *shard, enum flight_kind kind, uint16_t port, const struct ip_address *peer,
                              uint32_t code) {
  const struct flight_request about = {.protocol = protocol_of(shard, port)};
  struct flight_event event = {.kind = (uint16_t)kind, .code = code};
  memcpy(event.values, peer->words, sizeof peer->words);
  event.values[2] = flight_pack(&about);
  event.values[3] = http_server_counters(shard->http)->connections;
  record(shard, &event);
}

void shard_flight_accepted(void *context, uint16_t local_port, const struct ip_address *peer) {
  struct shard *shard = context;
  if (flight_samples(shard->recorder)) record_connection(shard, FLIGHT_CONNECTION_ACCEPTED, local_port, peer, 0);
}

void shard_flight_ended(void *context, uint16_t local_port, const struct ip_address *peer, enum stream_end end) {
  struct shard *shard = context;
  if (end == STREAM_END_FINISHED || !flight_admits(shard->recorder, FLIGHT_CONNECTION_ENDED, shard->now_ns)) return;
  record_connection(shard, FLIGHT_CONNECTION_ENDED, local_port, peer, end);
}

void shard_flight_note(struct shard *shard, enum flight_kind kind, uint32_t code, const uint64_t values[FLIGHT_VALUES]) {
  if (!shard->recorder || !flight_admits(shard->recorder, kind, shard->now_ns)) return;
  struct flight_event event = {.kind = (uint16_t)kind, .code = code};
  memcpy(event.values, values, sizeof event.values);
  record(shard, &event);
}

/* How many more there are than were told of. What a tick has no room for is told with the next. */
static bool tell(struct shard *shard, enum flight_kind kind, uint64_t *told, uint64_t total) {
  if (total == *told || !flight_admits(shard->recorder, kind, shard->now_ns)) return false;
  const struct record_ring *records = shard->config.records;
  struct flight_event event = {.kind = (uint16_t)kind, .values = {total - *told, total}};
  event.values[2] = record_ring_published_position(records);
  event.values[3] = record_ring_durable(records);
  record(shard, &event);
  *told = total;
  return true;
}

void shard_flight_watch(struct shard *shard) {
  if (!shard->recorder) return;
  tell(shard, FLIGHT_VIOLATIONS_RAISED, &shard->told.raised, engine_counters(shard->engine)->violations_emitted);
  tell(shard, FLIGHT_JOURNAL_FULL, &shard->told.records_refused, shard->records_refused);
}

void shard_flight_watch_frames(struct shard *shard) {
  static const enum network_drop malformed[] = {DROP_ETHERNET_SHORT, DROP_ARP_MALFORMED,      DROP_IPV4_MALFORMED,
                                                DROP_IPV4_CHECKSUM,  DROP_ICMP_MALFORMED,     DROP_UDP_MALFORMED,
                                                DROP_UDP_CHECKSUM,   DROP_TCP_MALFORMED,      DROP_TCP_CHECKSUM,
                                                DROP_IPV6_MALFORMED, DROP_FRAGMENT_MALFORMED, DROP_ND_MALFORMED};
  if (!shard->recorder) return;
  uint64_t total = 0;
  for (unsigned i = 0; i < sizeof malformed / sizeof *malformed; i++)
    total += network_counters(shard->network)->drops[malformed[i]];
  tell(shard, FLIGHT_FRAMES_MALFORMED, &shard->told.frames_malformed, total);
}
