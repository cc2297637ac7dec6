#include "simulated_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THINK_NS_MAX 200000000u
#define DOOM_NS_MAX 500000000u
#define RETRY_NS 100000000u

static uint16_t port_of(enum request_kind kind) {
  if (kind == REQUEST_DATAGRAM_JAEGER) return APPLIANCE_JAEGER_PORT;
  if (kind == REQUEST_SPANS_ZIPKIN) return APPLIANCE_ZIPKIN_PORT;
  return is_spans_request(kind) || kind == REQUEST_DATAGRAM ? APPLIANCE_OTLP_PORT : APPLIANCE_WEBHOOK_PORT;
}

static const struct plan_request *planned(const struct simulated_client *client, const struct pending_request *pending) {
  return &client->traffic->plan.request[pending->request];
}

static const char *rule_of(enum request_kind kind) {
  if (is_spans_request(kind) || is_datagram(kind)) return RULE_SPAN;
  return kind == REQUEST_ALERTS ? RULE_ALERT : RULE_ORDER;
}

void client_init(struct simulated_client *client, struct traffic *traffic, uint32_t number, uint64_t seed) {
  *client = (struct simulated_client){.traffic = traffic, .number = number, .random = {seed}};
}

void client_attach(struct simulated_client *client, struct sim_wire *wire, const struct segment_ends *ends) {
  const uint16_t port = client->tcp.ends.client_port;
  client->tcp.wire = wire;
  client->tcp.peer = (uint16_t)client->number;
  if (client->tcp.state == CLIENT_TCP_IDLE) client->tcp.ends = *ends;
  client->tcp.ends.client_port = port;
}

static bool takes_no_effect(enum request_kind kind) { return kind == REQUEST_FORGED || kind == REQUEST_OTHER_BODY; }

/* A webhook with an id is the same event however often it is sent; anything else is a new one each time. */
static void name_events(struct simulated_client *client, struct pending_request *pending) {
  const struct plan_request *request = planned(client, pending);
  struct traffic *traffic = client->traffic;
  for (uint32_t i = 0; i < request->events; i++) {
    if (pending->attempts == 0 || request->kind != REQUEST_SIGNED)
      pending->entries[i] =
          ledger_add(&traffic->ledger, rule_of(request->kind), request->first_event + i, request->faulty >> i & 1);
    traffic->ledger.entries[pending->entries[i]].repeatable = is_datagram(request->kind);
    if (!takes_no_effect(request->kind)) ledger_sent(&traffic->ledger, pending->entries[i]);
  }
  if (request->kind == REQUEST_SIGNED) traffic->signed_requests[pending->request].entry = pending->entries[0];
}

/* A live trace ends with the appliance's life: what the next one gets of it is a trace of its own. */
static void spoil(struct traffic *traffic, struct trace_memory *trace) {
  trace->boot = UINT32_MAX;
  traffic->ledger.entries[trace->always_entry].repeatable = traffic->ledger.entries[trace->never_entry].repeatable = true;
}

static void note_traces_sent(struct simulated_client *client, uint32_t request) {
  struct traffic *traffic = client->traffic;
  for (uint32_t i = 0; i < traffic->plan.parts; i++) {
    if (traffic->plan.part[i].request != request) continue;
    struct trace_memory *trace = &traffic->traces[traffic->plan.part[i].trace];
    ledger_sent(&traffic->ledger, trace->always_entry);
    ledger_sent(&traffic->ledger, trace->never_entry);
    if (!trace->first_sent_ns) {
      trace->first_sent_ns = client->now_ns;
      trace->boot = traffic->boot;
    }
    if (trace->boot != traffic->boot) spoil(traffic, trace);
  }
}

static void note_traces_answered(struct simulated_client *client, uint32_t request) {
  struct traffic *traffic = client->traffic;
  for (uint32_t i = 0; i < traffic->plan.parts; i++) {
    if (traffic->plan.part[i].request != request) continue;
    struct trace_memory *trace = &traffic->traces[traffic->plan.part[i].trace];
    trace->answered++;
    trace->last_answered_ns = client->now_ns;
    if (trace->boot != traffic->boot) spoil(traffic, trace);
  }
}

static void make_body(struct simulated_client *client, struct pending_request *pending) {
  struct traffic *traffic = client->traffic;
  const struct plan_request *request = planned(client, pending);
  struct request_entries entries = {pending->entries, traffic->always, traffic->never};
  uint32_t number = pending->request;
  if (request->kind == REQUEST_REPEAT) {
    number = request->of;
    entries.events = &traffic->signed_requests[number].entry;
  }
  model_free(&pending->body);
  pending->body = (struct model_bytes){0};
  request_make_body(&traffic->plan, number, &entries, &client->random, &pending->body);
}

static void write_pending(struct simulated_client *client, struct pending_request *pending, uint64_t wall_ns) {
  struct model_bytes bytes = {0};
  name_events(client, pending);
  make_body(client, pending);
  request_make(&client->traffic->plan, pending->request, &pending->body, wall_ns, &client->random, &bytes);
  if (is_spans_request(planned(client, pending)->kind)) {
    note_traces_sent(client, pending->request);
    client->traffic->spans_sent += request_spans(&client->traffic->plan, pending->request);
  }
  client_tcp_write(&client->tcp, bytes.at, bytes.length);
  model_free(&bytes);
  pending->attempts++;
  pending->written = true;
}

/* Nobody answers a datagram: it may arrive, and it may not. */
static void send_datagram(struct simulated_client *client, uint32_t request) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  struct pending_request pending = {.request = request};
  struct segment_ends ends = client->tcp.ends;
  ends.server_port = port_of(client->traffic->plan.request[request].kind);
  ends.client_port = (uint16_t)(1 + random_below(&client->random, 65000));
  name_events(client, &pending);
  make_body(client, &pending);
  if (pending.body.length <= 1400) {
    client->traffic->spans_sent += 2 * request_spans(&client->traffic->plan, request);
    const uint32_t length = segment_write_datagram(&ends, pending.body.at, (uint32_t)pending.body.length, frame);
    sim_wire_peer_send(client->tcp.wire, client->tcp.peer, frame, length);
  }
  model_free(&pending.body);
}

/* A repetition is only sent when the first delivery is settled, and everything of one connection goes to one port. */
static bool fits_behind(const struct simulated_client *client, const struct plan_request *request) {
  const struct plan_request *first = planned(client, &client->pending[0]);
  if (client->pending_count && port_of(first->kind) != port_of(request->kind)) return false;
  const bool about_another = request->kind == REQUEST_REPEAT || request->kind == REQUEST_OTHER_BODY;
  return !about_another || client->traffic->signed_requests[request->of].answered;
}

static void fetch_requests(struct simulated_client *client) {
  const struct traffic_plan *plan = &client->traffic->plan;
  const uint32_t most = 1 + (random_below(&client->random, 3) ? 0 : random_below(&client->random, CLIENT_PIPELINE_MAX));
  for (; client->plan_at < plan->requests && client->pending_count < most; client->plan_at++) {
    const struct plan_request *request = &plan->request[client->plan_at];
    if (request->client != client->number) continue;
    if (is_datagram(request->kind)) {
      send_datagram(client, client->plan_at);
      continue;
    }
    if (!fits_behind(client, request)) return;
    client->pending[client->pending_count++] = (struct pending_request){.request = client->plan_at};
  }
}

static void forget_connection(struct simulated_client *client) {
  client->tcp.state = CLIENT_TCP_IDLE;
  client->closing = false;
  client->parsed = 0;
  for (uint32_t i = 0; i < client->pending_count; i++) client->pending[i].written = false;
}

static _Noreturn void wrong_answer(const struct simulated_client *client, unsigned status, const char *body, size_t length) {
  const struct pending_request *pending = &client->pending[0];
  fprintf(stderr, "request %u of kind %d, attempt %u, was answered %u: %.*s\n", pending->request,
          (int)planned(client, pending)->kind, pending->attempts, status, (int)length, body);
  abort();
}

static void remember_first_answer(struct simulated_client *client, uint32_t request, const char *body, size_t length) {
  struct signed_memory *memory = &client->traffic->signed_requests[request];
  if (length >= sizeof memory->body) wrong_answer(client, 200, body, length);
  if (memory->answered) return;
  memory->answered = true;
  memcpy(memory->body, body, length);
}

static void accept_answer(struct simulated_client *client, enum ledger_expectation expectation, const char *body, size_t length) {
  struct pending_request *pending = &client->pending[0];
  const struct plan_request *request = planned(client, pending);
  struct traffic *traffic = client->traffic;
  for (uint32_t i = 0; i < request->events; i++) ledger_answered(&traffic->ledger, pending->entries[i], expectation);
  if (is_spans_request(request->kind)) {
    note_traces_answered(client, pending->request);
    traffic->spans_answered += request_spans(&traffic->plan, pending->request);
  }
  if (request->kind == REQUEST_SIGNED) remember_first_answer(client, pending->request, body, length);
  if (request->kind == REQUEST_REPEAT) {
    const struct signed_memory *memory = &traffic->signed_requests[request->of];
    if (strlen(memory->body) != length || memcmp(memory->body, body, length) != 0) wrong_answer(client, 200, body, length);
  }
}

static unsigned good_status(enum request_kind kind) {
  switch (kind) {
  case REQUEST_PLAIN_RECEIVED:
  case REQUEST_SPANS_ZIPKIN:
    return 202;
  case REQUEST_OTHER_BODY:
    return 409;
  case REQUEST_FORGED:
    return 401;
  case REQUEST_WRONG_PATH:
    return 404;
  case REQUEST_WRONG_METHOD:
    return 405;
  case REQUEST_WRONG_MEDIA_TYPE:
    return 415;
  case REQUEST_MALFORMED:
    return 400;
  case REQUEST_TOO_LARGE:
    return 413;
  default:
    return 200;
  }
}

/* 503 and 408 say that it took no effect. An id may have taken effect by an attempt before. */
static void refused(struct simulated_client *client) {
  struct pending_request *pending = &client->pending[0];
  const struct plan_request *request = planned(client, pending);
  client->traffic->refused++;
  if (request->kind == REQUEST_SIGNED && pending->attempts > 1) return;
  for (uint32_t i = 0; i < request->events; i++) ledger_answered(&client->traffic->ledger, pending->entries[i], LEDGER_NEVER);
}

static void answered(struct simulated_client *client, unsigned status, const char *body, size_t length) {
  struct pending_request *pending = &client->pending[0];
  const enum request_kind kind = planned(client, pending)->kind;
  if (status == 503 || status == 408) {
    refused(client);
    /* Behind the others, to be sent again. */
    struct pending_request again = *pending;
    again.written = false;
    memmove(pending, pending + 1, (client->pending_count - 1) * sizeof *pending);
    client->pending[client->pending_count - 1] = again;
    client->wake_ns = client->now_ns + RETRY_NS + random_below(&client->random, RETRY_NS);
    return;
  }
  if (status != good_status(kind)) wrong_answer(client, status, body, length);
  const bool received = kind == REQUEST_PLAIN_RECEIVED || (is_spans_request(kind) && !client->traffic->spans_durable);
  if (status < 300) accept_answer(client, received ? LEDGER_RECEIVED : LEDGER_DURABLE, body, length);
  client->traffic->answered++;
  model_free(&pending->body);
  memmove(pending, pending + 1, --client->pending_count * sizeof *pending);
}

static const char *find_header(const char *headers, const char *end, const char *name) {
  const size_t length = strlen(name);
  for (const char *line = headers; line < end;) {
    if (strncasecmp(line, name, length) == 0) return line + length;
    const char *next = memchr(line, '\n', (size_t)(end - line));
    if (!next) return NULL;
    line = next + 1;
  }
  return NULL;
}

/* One whole answer, if there is one; `last` says that the server will close. */
static bool parse_answer(struct simulated_client *client, bool *last) {
  const char *at = (const char *)client->tcp.in + client->parsed;
  const size_t length = client->tcp.in_bytes - client->parsed;
  const char *end = length ? memmem(at, length, "\r\n\r\n", 4) : NULL;
  unsigned status = 0;
  if (!end) return false;
  if (sscanf(at, "HTTP/1.1 %3u", &status) != 1) wrong_answer(client, 0, at, length);
  const char *length_text = find_header(at, end, "content-length:");
  const size_t body_bytes = length_text ? strtoul(length_text, NULL, 10) : 0;
  const size_t head_bytes = (size_t)(end + 4 - at);
  if (length < head_bytes + body_bytes) return false;
  client->parsed += head_bytes + body_bytes;
  const char *connection = find_header(at, end, "connection:");
  *last = connection && strncasecmp(connection, " close", 6) == 0;
  if (status == 100) return true;
  if (client->pending_count == 0 || !client->pending[0].written) wrong_answer(client, status, at, length);
  answered(client, status, end + 4, body_bytes);
  return true;
}

static void read_answers(struct simulated_client *client) {
  bool last = false;
  while (!last && !client->closing && parse_answer(client, &last)) {
    const bool waiting = client->pending_count && client->pending[0].written;
    if (!last && waiting) continue;
    if (waiting) client->traffic->broken++;
    if (last || random_below(&client->random, 3) == 0) client->closing = true;
    if (client->closing) client_tcp_finish(&client->tcp);
    if (!waiting && client->wake_ns < client->now_ns)
      client->wake_ns = client->now_ns + random_below(&client->random, THINK_NS_MAX);
    return;
  }
}

static bool nothing_written(const struct simulated_client *client) {
  return client->pending_count == 0 || !client->pending[0].written;
}

static void connect_or_write(struct simulated_client *client, uint64_t wall_ns) {
  if (client->closing || client->now_ns < client->wake_ns || !nothing_written(client)) return;
  if (client->pending_count == 0) fetch_requests(client);
  if (client->pending_count == 0) return;
  const uint16_t port = port_of(planned(client, &client->pending[0])->kind);
  if (client->tcp.state == CLIENT_TCP_OPEN && client->tcp.ends.server_port != port) {
    client->closing = true;
    client_tcp_finish(&client->tcp);
    return;
  }
  if (client->tcp.state == CLIENT_TCP_IDLE) {
    client_tcp_start(&client->tcp, port, &client->random, client->now_ns);
    client->parsed = 0;
    client->traffic->connections++;
    const bool doomed = client->traffic->rude && random_below(&client->random, 5) == 0;
    client->doom_ns = doomed ? client->now_ns + random_below(&client->random, DOOM_NS_MAX) : UINT64_MAX;
  }
  if (client->tcp.state != CLIENT_TCP_OPEN) return;
  for (uint32_t i = 0; i < client->pending_count; i++) write_pending(client, &client->pending[i], wall_ns);
}

static bool connection_over(const struct simulated_client *client) {
  const struct client_tcp *tcp = &client->tcp;
  return tcp->state == CLIENT_TCP_RESET || tcp->state == CLIENT_TCP_SILENT ||
         (tcp->state == CLIENT_TCP_OPEN && tcp->peer_finished);
}

static void receive_frames(struct simulated_client *client) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  for (uint32_t length; (length = sim_wire_peer_receive(client->tcp.wire, client->tcp.peer, frame, sizeof frame));)
    client_tcp_frame(&client->tcp, frame, length, client->now_ns);
}

void client_step(struct simulated_client *client, uint64_t now_ns, uint64_t wall_ns) {
  client->now_ns = now_ns;
  receive_frames(client);
  if (client->tcp.state == CLIENT_TCP_OPEN) read_answers(client);
  if (client->tcp.state == CLIENT_TCP_OPEN && now_ns >= client->doom_ns) {
    if (random_below(&client->random, 2)) client_tcp_abort(&client->tcp); /* else it vanishes without a word */
    client->tcp.state = CLIENT_TCP_RESET;
  }
  if (connection_over(client)) {
    if (!nothing_written(client)) client->traffic->broken++;
    forget_connection(client);
    if (client->wake_ns < now_ns) client->wake_ns = now_ns + random_below(&client->random, RETRY_NS);
  }
  connect_or_write(client, wall_ns);
  client_tcp_step(&client->tcp, now_ns);
}

uint64_t client_next_ns(const struct simulated_client *client) {
  const uint64_t tcp_ns = client_tcp_next_ns(&client->tcp);
  if (client_finished(client) || client->wake_ns <= client->now_ns) return tcp_ns;
  return client->wake_ns < tcp_ns ? client->wake_ns : tcp_ns;
}

bool client_finished(const struct simulated_client *client) {
  if (client->pending_count) return false;
  for (uint32_t i = client->plan_at; i < client->traffic->plan.requests; i++)
    if (client->traffic->plan.request[i].client == client->number) return false;
  return true;
}

void client_free(struct simulated_client *client) {
  for (uint32_t i = 0; i < client->pending_count; i++) model_free(&client->pending[i].body);
  client_tcp_free(&client->tcp);
}
