#include "capture_writer.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

static void write32(FILE *file, uint32_t value) { fwrite(&value, sizeof value, 1, file); }

void capture_writer_open(struct capture_writer *writer, uint64_t now_ns) {
  *writer = (struct capture_writer){.now_ns = now_ns};
  snprintf(writer->path, sizeof writer->path, "/tmp/tripline-capture-XXXXXX");
  const int descriptor = mkstemp(writer->path);
  if (descriptor < 0 || !(writer->file = fdopen(descriptor, "wb"))) abort();
  write32(writer->file, 0xa1b23c4d); /* nanoseconds */
  write32(writer->file, 2 | 4u << 16);
  write32(writer->file, 0);
  write32(writer->file, 0);
  write32(writer->file, 65535);
  write32(writer->file, 1); /* Ethernet */
}

void capture_writer_close(struct capture_writer *writer) { fclose(writer->file); }

void capture_writer_remove(struct capture_writer *writer) { unlink(writer->path); }

void write_frame(struct capture_writer *writer, const void *frame, uint32_t captured, uint32_t length) {
  writer->now_ns += 1000000;
  writer->frames++;
  write32(writer->file, (uint32_t)(writer->now_ns / 1000000000));
  write32(writer->file, (uint32_t)(writer->now_ns % 1000000000));
  write32(writer->file, captured);
  write32(writer->file, length);
  fwrite(frame, captured, 1, writer->file);
}

/* Ethernet and IP in front of a payload of `length` bytes; returns where that begins. */
static uint32_t put_headers(uint8_t *frame, const struct written_flow *flow, uint8_t protocol, uint32_t length) {
  uint32_t at = 12;
  memset(frame, 0x22, 12);
  if (flow->vlan) {
    put16(frame + at, 0x8100);
    put16(frame + at + 2, 7);
    at += 4;
  }
  put16(frame + at, flow->ipv6 ? 0x86dd : 0x0800);
  at += 2;
  uint8_t *ip = frame + at;
  if (flow->ipv6) {
    memset(ip, 0, 40);
    ip[0] = 0x60;
    put16(ip + 4, length);
    ip[6] = protocol;
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd;
    ip[23] = 1;
    ip[39] = 2;
    return at + 40;
  }
  memset(ip, 0, 20);
  ip[0] = 0x45;
  put16(ip + 2, 20 + length);
  ip[8] = 64;
  ip[9] = protocol;
  memcpy(ip + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
  return at + 20;
}

void write_segment(struct capture_writer *writer, const struct written_flow *flow, uint32_t ahead, uint8_t flags,
                   const void *bytes, uint32_t length) {
  uint8_t frame[2048];
  uint32_t at = put_headers(frame, flow, 6, 20 + length);
  memset(frame + at, 0, 20);
  put16(frame + at, flow->client_port);
  put16(frame + at + 2, flow->server_port);
  put32(frame + at + 4, flow->sequence + ahead);
  frame[at + 12] = 5 << 4;
  frame[at + 13] = flags;
  if (length) memcpy(frame + at + 20, bytes, length);
  write_frame(writer, frame, at + 20 + length, at + 20 + length);
}

void write_datagram(struct capture_writer *writer, const struct written_flow *flow, const void *bytes, uint32_t length) {
  uint8_t frame[2048];
  uint32_t at = put_headers(frame, flow, 17, 8 + length);
  put16(frame + at, flow->client_port);
  put16(frame + at + 2, flow->server_port);
  put16(frame + at + 4, 8 + length);
  put16(frame + at + 6, 0);
  memcpy(frame + at + 8, bytes, length);
  write_frame(writer, frame, at + 8 + length, at + 8 + length);
}

void write_open(struct capture_writer *writer, struct written_flow *flow) {
  write_segment(writer, flow, 0, CLIENT_SYN, NULL, 0);
  flow->sequence++;
}

void write_bytes(struct capture_writer *writer, struct written_flow *flow, const void *bytes, uint32_t length, uint32_t piece) {
  for (uint32_t at = 0; at < length; at += piece) {
    const uint32_t now = length - at < piece ? length - at : piece;
    write_segment(writer, flow, 0, CLIENT_ACK, (const uint8_t *)bytes + at, now);
    flow->sequence += now;
  }
}

void write_close(struct capture_writer *writer, struct written_flow *flow) {
  write_segment(writer, flow, 0, CLIENT_FIN | CLIENT_ACK, NULL, 0);
  flow->sequence++;
}

uint32_t make_post(char *out, size_t room, const char *path, const char *type, const char *more_headers, const void *body,
                   uint32_t length) {
  const int head = snprintf(out, room, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%sContent-Length: %u\r\n\r\n", path,
                            type, more_headers, length);
  if (head < 0 || (size_t)head + length > room) abort();
  memcpy(out + head, body, length);
  return (uint32_t)head + length;
}

uint32_t make_span(char *out, size_t room, unsigned id, const char *service, const char *name, uint64_t start_ns,
                   uint64_t duration_ns, long amount) {
  const int length = snprintf(
      out, room,
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"%s\"}}]},"
      "\"scopeSpans\":[{\"spans\":[{\"traceId\":\"%032x\",\"spanId\":\"%016x\",\"name\":\"%s\",\"kind\":2,"
      "\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64 "\",\"attributes\":[{\"key\":\"amount\","
      "\"value\":{\"intValue\":\"%ld\"}}]}]}]}]}",
      service, id, id, name, start_ns, start_ns + duration_ns, amount);
  if (length < 0 || (size_t)length >= room) abort();
  return (uint32_t)length;
}
