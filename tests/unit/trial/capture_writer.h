#pragma once
/* A capture with known content: frames built by hand into a file of libpcap's classic format. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct capture_writer {
  FILE *file;
  char path[64];
  uint64_t now_ns;
  uint32_t frames;
};

enum { CLIENT_FIN = 1, CLIENT_SYN = 2, CLIENT_RST = 4, CLIENT_ACK = 16 };

struct written_flow {
  bool ipv6, vlan;
  uint16_t client_port, server_port;
  uint32_t sequence; /* of the next byte */
};

/* In nanoseconds, at `now_ns` Unix. */
void capture_writer_open(struct capture_writer *writer, uint64_t now_ns);
void capture_writer_close(struct capture_writer *writer); /* the file stays until capture_writer_remove */
void capture_writer_remove(struct capture_writer *writer);
/* A millisecond after the one before. `captured` of `length`. */
void write_frame(struct capture_writer *writer, const void *frame, uint32_t captured, uint32_t length);
/* A segment at flow->sequence + ahead; the flow does not move. */
void write_segment(struct capture_writer *writer, const struct written_flow *flow, uint32_t ahead, uint8_t flags,
                   const void *bytes, uint32_t length);
void write_datagram(struct capture_writer *writer, const struct written_flow *flow, const void *bytes, uint32_t length);
/* SYN; the bytes in segments of `piece`, in order; each moves the flow. */
void write_open(struct capture_writer *writer, struct written_flow *flow);
void write_bytes(struct capture_writer *writer, struct written_flow *flow, const void *bytes, uint32_t length, uint32_t piece);
void write_close(struct capture_writer *writer, struct written_flow *flow);

/* Bytes of a POST; returns its length. */
uint32_t make_post(char *out, size_t room, const char *path, const char *type, const char *more_headers, const void *body,
                   uint32_t length);
/* OTLP JSON of one span; returns its length. */
uint32_t make_span(char *out, size_t room, unsigned id, const char *service, const char *name, uint64_t start_ns,
                   uint64_t duration_ns, long amount);
