/* TCP from clients to the product's ports, put back in order from what was captured. Bounded: connections are forgotten oldest
 * first, and what waits behind a hole is given up beyond a limit: then the hole is a gap. After a gap, or when the capture began
 * in the middle, HTTP/1.1 is read on from the next segment that begins with a request line. */
#include "capture_internal.h"
#include "siphash.h"
#include <stdlib.h>
#include <string.h>

#define FLOWS_MAX 4096u
#define BUCKETS 8192u
#define WAITING_BYTES_A_FLOW (1u << 20)
#define WAITING_BYTES (64u << 20)

struct waiting {        /* out of order */
  struct waiting *next; /* by sequence */
  uint32_t sequence, length;
  uint8_t bytes[];
};

struct flow_key {
  uint8_t source[16], destination[16];
  uint16_t source_port, destination_port;
};

struct flow {
  struct flow *next_in_bucket, *older, *newer;
  struct flow_key key;
  struct capture_stream *stream; /* NULL: in search of a request line, or given up */
  struct waiting *waiting;
  uint32_t next, waiting_bytes;
  bool begun;    /* `next` is known */
  bool searched; /* counted as one whose beginning is not there */
  bool given_up; /* TLS, or refused */
  bool has_fin;
  uint32_t fin;
};

struct capture_flows {
  struct capture *capture;
  struct flow *buckets[BUCKETS], *oldest, *newest;
  uint32_t count;
  uint64_t waiting_bytes;
};

static uint32_t bucket_of(const struct flow_key *key) {
  static const struct siphash_key hash_key = {0x7472, 0x6961};
  return (uint32_t)siphash(&hash_key, key, sizeof *key) % BUCKETS;
}

static void unlink_age(struct capture_flows *flows, struct flow *flow) {
  *(flow->older ? &flow->older->newer : &flows->oldest) = flow->newer;
  *(flow->newer ? &flow->newer->older : &flows->newest) = flow->older;
}

static void append_age(struct capture_flows *flows, struct flow *flow) {
  flow->older = flows->newest;
  flow->newer = NULL;
  *(flows->newest ? &flows->newest->newer : &flows->oldest) = flow;
  flows->newest = flow;
}

static void drop_waiting(struct capture_flows *flows, struct flow *flow) {
  while (flow->waiting) {
    struct waiting *first = flow->waiting;
    flow->waiting = first->next;
    free(first);
  }
  flows->waiting_bytes -= flow->waiting_bytes;
  flow->waiting_bytes = 0;
}

static void end_stream(struct flow *flow, bool finished) {
  if (flow->stream) capture_stream_end(flow->stream, finished);
  flow->stream = NULL;
}

static void forget(struct capture_flows *flows, struct flow *flow) {
  struct flow **link = &flows->buckets[bucket_of(&flow->key)];
  while (*link != flow) link = &(*link)->next_in_bucket;
  *link = flow->next_in_bucket;
  unlink_age(flows, flow);
  if (flow->waiting && !flow->given_up) flows->capture->report->unread[UNREAD_GAP]++;
  drop_waiting(flows, flow);
  end_stream(flow, false);
  free(flow);
  flows->count--;
}

static struct flow *find(struct capture_flows *flows, const struct flow_key *key) {
  struct flow *flow = flows->buckets[bucket_of(key)];
  while (flow && memcmp(&flow->key, key, sizeof *key) != 0) flow = flow->next_in_bucket;
  return flow;
}

static struct flow *add(struct capture_flows *flows, const struct flow_key *key) {
  if (flows->count == FLOWS_MAX) {
    flows->capture->report->unread[UNREAD_FORGOTTEN]++;
    forget(flows, flows->oldest);
  }
  struct flow *flow = calloc(1, sizeof *flow);
  if (!flow) return NULL;
  flow->key = *key;
  flow->next_in_bucket = flows->buckets[bucket_of(key)];
  flows->buckets[bucket_of(key)] = flow;
  append_age(flows, flow);
  flows->count++;
  flows->capture->report->connections++;
  return flow;
}

static bool begins_request(const uint8_t *bytes, size_t length) {
  static const char *const methods[] = {"POST ", "GET ", "PUT ", "HEAD ", "DELETE ", "OPTIONS "};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
    if (length >= strlen(methods[i]) && memcmp(bytes, methods[i], strlen(methods[i])) == 0) return true;
  return false;
}

static bool begins_tls(const uint8_t *bytes, size_t length) { return length >= 2 && bytes[0] == 0x16 && bytes[1] == 0x03; }

static void open_stream(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet) {
  flow->stream = capture_stream_open(flows->capture->http, packet);
  if (flow->stream) return;
  flow->given_up = true;
  flows->capture->report->unread[UNREAD_FORGOTTEN]++;
}

static void deliver(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet, const uint8_t *bytes,
                    uint32_t length) {
  flow->next += length;
  if (flow->given_up || length == 0) return;
  if (!flow->stream) {
    if (begins_tls(bytes, length)) {
      flows->capture->report->unread[UNREAD_TLS]++;
      flow->given_up = true;
      return;
    }
    if (flow->searched && !begins_request(bytes, length)) return;
    open_stream(flows, flow, packet);
    if (!flow->stream) return;
  }
  capture_stream_receive(flow->stream, bytes, length);
}

static void deliver_waiting(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet) {
  while (flow->waiting) {
    struct waiting *first = flow->waiting;
    const int32_t behind = (int32_t)(flow->next - first->sequence);
    if (behind < 0) return;
    flow->waiting = first->next;
    flow->waiting_bytes -= first->length;
    flows->waiting_bytes -= first->length;
    if ((uint32_t)behind < first->length) deliver(flows, flow, packet, first->bytes + behind, first->length - (uint32_t)behind);
    free(first);
  }
}

/* What is missing will not come: what waits is read from its first request line on. */
static void give_up_hole(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet) {
  flow->searched = true;
  while (flow->waiting) {
    flows->capture->report->unread[UNREAD_GAP]++;
    end_stream(flow, false);
    flow->next = flow->waiting->sequence;
    deliver_waiting(flows, flow, packet);
  }
}

static void keep(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet) {
  struct waiting **link = &flow->waiting;
  while (*link && (int32_t)((*link)->sequence - packet->sequence) < 0) link = &(*link)->next;
  if (*link && (*link)->sequence == packet->sequence && (*link)->length >= packet->length) return;
  struct waiting *item = malloc(sizeof *item + packet->length);
  if (!item) return;
  item->next = *link;
  item->sequence = packet->sequence;
  item->length = packet->length;
  memcpy(item->bytes, packet->payload, packet->length);
  *link = item;
  flow->waiting_bytes += packet->length;
  flows->waiting_bytes += packet->length;
  if (flow->waiting_bytes > WAITING_BYTES_A_FLOW || flows->waiting_bytes > WAITING_BYTES) give_up_hole(flows, flow, packet);
}

static void begin(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet) {
  flow->begun = true;
  flow->next = packet->sequence + (packet->syn ? 1 : 0);
  if (packet->syn || packet->length == 0 || begins_request(packet->payload, packet->length) ||
      begins_tls(packet->payload, packet->length))
    return;
  flow->searched = true;
  flows->capture->report->unread[UNREAD_NO_BEGINNING]++;
}

static void take_payload(struct capture_flows *flows, struct flow *flow, const struct capture_packet *packet) {
  if (packet->length == 0) return;
  const uint32_t first = packet->sequence + (packet->syn ? 1 : 0);
  const int32_t ahead = (int32_t)(first - flow->next);
  if (ahead > 0) {
    if (!flow->given_up) keep(flows, flow, packet);
    return;
  }
  const uint32_t known = (uint32_t)-ahead;
  if (known >= packet->length) return; /* sent again */
  deliver(flows, flow, packet, packet->payload + known, packet->length - known);
  deliver_waiting(flows, flow, packet);
}

static struct flow_key key_of(const struct capture_packet *packet) {
  struct flow_key key;
  memset(&key, 0, sizeof key);
  memcpy(key.source, packet->source, sizeof key.source);
  memcpy(key.destination, packet->destination, sizeof key.destination);
  key.source_port = packet->source_port;
  key.destination_port = packet->destination_port;
  return key;
}

void capture_flows_take(struct capture_flows *flows, const struct capture_packet *packet) {
  const struct flow_key key = key_of(packet);
  struct flow *flow = find(flows, &key);
  if (flow && packet->syn && flow->begun && packet->sequence + 1 != flow->next) {
    forget(flows, flow); /* the port is used again */
    flow = NULL;
  }
  if (!flow && packet->length == 0 && !packet->syn) return;
  if (!flow && !(flow = add(flows, &key))) return;
  unlink_age(flows, flow);
  append_age(flows, flow);
  if (!flow->begun) begin(flows, flow, packet);
  take_payload(flows, flow, packet);
  if (packet->fin) {
    flow->has_fin = true;
    flow->fin = packet->sequence + packet->length;
  }
  if (packet->rst || (flow->has_fin && flow->next == flow->fin)) {
    end_stream(flow, !packet->rst);
    forget(flows, flow);
  }
}

struct capture_flows *capture_flows_create(struct capture *capture) {
  struct capture_flows *flows = calloc(1, sizeof *flows);
  if (flows) flows->capture = capture;
  return flows;
}

void capture_flows_free(struct capture_flows *flows) {
  if (!flows) return;
  while (flows->oldest) {
    struct flow *flow = flows->oldest;
    /* A last hole is a gap; what came behind it is still read. */
    const struct capture_packet ports = {.source_port = flow->key.source_port, .destination_port = flow->key.destination_port};
    if (flow->waiting && !flow->given_up) give_up_hole(flows, flow, &ports);
    forget(flows, flow);
  }
  free(flows);
}
