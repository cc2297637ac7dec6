/* pcap and pcapng files by libpcap, frame by frame. */
#include "capture_internal.h"
#include "trial_document_internal.h"
#include <pcap/pcap.h>
#include <string.h>

#define TICK_NS 1000000000ull
#define PROGRESS_EVERY_FRAMES 256u

bool trial_is_capture(const uint8_t *bytes, size_t length) {
  static const uint8_t magics[][4] = {{0xa1, 0xb2, 0xc3, 0xd4},
                                      {0xd4, 0xc3, 0xb2, 0xa1},
                                      {0xa1, 0xb2, 0x3c, 0x4d},
                                      {0x4d, 0x3c, 0xb2, 0xa1},
                                      {0x0a, 0x0d, 0x0d, 0x0a}};
  if (length < 24) return false;
  /* pcapng's first block is a palindrome; its byte-order mark tells it from a protobuf field of 13 bytes. */
  if (memcmp(bytes, magics[4], 4) == 0)
    return memcmp(bytes + 8, "\x1a\x2b\x3c\x4d", 4) == 0 || memcmp(bytes + 8, "\x4d\x3c\x2b\x1a", 4) == 0;
  for (size_t i = 0; i < 4; i++)
    if (memcmp(bytes, magics[i], 4) == 0) return true;
  return false;
}

static bool take_datagram(struct capture *capture, const struct capture_packet *packet) {
  struct trial_answer answer = {0};
  struct trial_body body = {.bytes = packet->payload, .length = packet->length};
  if (packet->destination_port == CAPTURE_OTLP_PORT)
    body.format = TRIAL_OTLP_PROTOBUF;
  else if (packet->destination_port == CAPTURE_JAEGER_PORT)
    body.format = TRIAL_JAEGER;
  else
    return false;
  capture->report->datagrams++;
  capture->reader->body(capture->reader->context, capture->now_ns, &body, &answer);
  return true;
}

static bool take_segment(struct capture *capture, const struct capture_packet *packet) {
  switch (packet->destination_port) {
  case CAPTURE_OTLP_PORT:
  case CAPTURE_GRPC_PORT:
  case CAPTURE_ZIPKIN_PORT:
  case CAPTURE_WEBHOOK_PORT:
    capture->report->segments++;
    capture_flows_take(capture->flows, packet);
    return true;
  }
  return false;
}

static void take_frame(struct capture *capture, int link, const struct pcap_pkthdr *header, const uint8_t *frame) {
  static const enum trial_unread reasons[] = {[CAPTURE_NOT_IP] = UNREAD_NOT_IP,
                                              [CAPTURE_TRUNCATED] = UNREAD_TRUNCATED,
                                              [CAPTURE_BAD_HEADER] = UNREAD_BAD_HEADER,
                                              [CAPTURE_FRAGMENT] = UNREAD_FRAGMENT,
                                              [CAPTURE_OTHER] = UNREAD_OTHER_PORTS};
  struct capture_packet packet;
  struct trial_report *report = capture->report;
  /* With nanosecond precision libpcap puts nanoseconds where microseconds were. */
  const uint64_t at_ns = (uint64_t)header->ts.tv_sec * 1000000000ull + (uint64_t)header->ts.tv_usec;
  if (at_ns / TICK_NS > capture->now_ns / TICK_NS && capture->now_ns) capture_http_tick(capture->http);
  if (at_ns > capture->now_ns) capture->now_ns = at_ns;
  report->frames++;
  const enum capture_frame what = capture_frame_read(link, frame, header->caplen, header->len, &packet);
  if (what != CAPTURE_PACKET)
    report->unread[reasons[what]]++;
  else if (packet.udp ? take_datagram(capture, &packet) : take_segment(capture, &packet))
    report->frames_read++;
  else
    report->unread[UNREAD_OTHER_PORTS]++;
}

static void read_frames(struct capture *capture, pcap_t *pcap) {
  struct pcap_pkthdr *header;
  const uint8_t *frame;
  const int link = pcap_datalink(pcap);
  int result;
  while ((result = pcap_next_ex(pcap, &header, &frame)) == 1) {
    if (!capture->http) {
      capture->now_ns = (uint64_t)header->ts.tv_sec * 1000000000ull;
      capture->http = capture_http_create(capture);
      capture->flows = capture_flows_create(capture);
      if (!capture->http || !capture->flows) return;
    }
    take_frame(capture, link, header, frame);
    if (capture->reader->progress && capture->report->frames % PROGRESS_EVERY_FRAMES == 0) {
      const long done = ftell(pcap_file(pcap));
      capture->reader->progress(capture->reader->context, done > 0 ? (uint64_t)done : 0, capture->report->total_bytes);
    }
  }
  if (result == PCAP_ERROR) capture->report->unread[UNREAD_CUT]++; /* the file ends within a frame */
}

static bool read_open(pcap_t *pcap, const char *name, const struct trial_reader *reader, struct trial_report *report,
                      struct rule_errors *errors) {
  struct capture capture = {.reader = reader, .report = report};
  read_frames(&capture, pcap);
  const bool memory = report->frames == 0 || (capture.http && capture.flows);
  if (!memory) trial_error_file(errors, name, "no memory");
  capture_flows_free(capture.flows);
  capture_http_free(capture.http);
  pcap_close(pcap);
  return memory;
}

bool trial_capture_read_file(FILE *file, const char *name, const struct trial_reader *reader, struct trial_report *report,
                             struct rule_errors *errors) {
  char why[PCAP_ERRBUF_SIZE] = "";
  report->recording = RECORDING_CAPTURE;
  report->format = "capture";
  pcap_t *pcap = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
  if (pcap) return read_open(pcap, name, reader, report, errors);
  trial_error_file(errors, name, "%.200s", why);
  fclose(file);
  return false;
}
