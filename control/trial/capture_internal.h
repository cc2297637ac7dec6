#pragma once
/* Captured frames: what is in them, streams put back in order, and the requests on these. Threads: one. */
#include "trial_input_internal.h"
#include "trial_internal.h"

struct capture_packet {
  bool udp, syn, fin, rst;
  uint8_t ip_version;
  uint8_t source[16], destination[16]; /* IPv4: the first four */
  uint16_t source_port, destination_port;
  uint32_t sequence; /* TCP */
  const uint8_t *payload;
  uint32_t length;
};

enum capture_frame { CAPTURE_PACKET, CAPTURE_NOT_IP, CAPTURE_TRUNCATED, CAPTURE_BAD_HEADER, CAPTURE_FRAGMENT, CAPTURE_OTHER };

/* `link` is libpcap's DLT. CAPTURE_OTHER: IP, but neither TCP nor UDP. */
enum capture_frame capture_frame_read(int link, const uint8_t *frame, uint32_t captured, uint32_t length,
                                      struct capture_packet *packet);

/* The ports of the embedded default. */
enum {
  CAPTURE_OTLP_PORT = 4318,
  CAPTURE_GRPC_PORT = 4317,
  CAPTURE_ZIPKIN_PORT = 9411,
  CAPTURE_WEBHOOK_PORT = 8080,
  CAPTURE_JAEGER_PORT = 6831
};

struct capture {
  const struct trial_reader *reader;
  struct trial_report *report;
  uint64_t now_ns; /* of the frame at hand; never goes back */
  struct capture_http *http;
  struct capture_flows *flows;
};

/* capture_http.c: the product's own HTTP on streams that nobody answers. */
struct capture_http *capture_http_create(struct capture *capture);
void capture_http_free(struct capture_http *http);
void capture_http_tick(struct capture_http *http);
struct capture_stream;
/* NULL: refused. */
struct capture_stream *capture_stream_open(struct capture_http *http, const struct capture_packet *packet);
void capture_stream_receive(struct capture_stream *stream, const uint8_t *bytes, size_t length);
/* `finished`: by the client's FIN; else it was cut off. */
void capture_stream_end(struct capture_stream *stream, bool finished);

/* capture_flows.c */
struct capture_flows *capture_flows_create(struct capture *capture);
void capture_flows_take(struct capture_flows *flows, const struct capture_packet *packet);
/* Ends all that is open, and frees. */
void capture_flows_free(struct capture_flows *flows);
