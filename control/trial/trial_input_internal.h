#pragma once
/* Recorded traffic as bodies with the times they arrived at. Reads what there is, and counts what it cannot read. */
#include "trial_host.h"

/* What of a recording is not judged, and why. */
enum trial_unread {
  UNREAD_NOT_IP,         /* frames: ARP and the like, and link layers that are not known */
  UNREAD_OTHER_PORTS,    /* segments and datagrams that are not for the ports of the product */
  UNREAD_TRUNCATED,      /* frames: the capture kept less than there was */
  UNREAD_BAD_HEADER,     /* frames */
  UNREAD_FRAGMENT,       /* frames: pieces of IP datagrams */
  UNREAD_TLS,            /* connections */
  UNREAD_NO_BEGINNING,   /* connections whose beginning is not in the capture: bytes before the first request */
  UNREAD_GAP,            /* connections: bytes that are not in the capture */
  UNREAD_FORGOTTEN,      /* connections: more at once than are kept */
  UNREAD_UNFINISHED,     /* requests that do not end in the recording */
  UNREAD_OTHER_REQUESTS, /* requests that are no spans and no webhooks, or malformed */
  UNREAD_CUT,            /* the end of a file: no whole body */
  UNREADS
};
const char *trial_unread_name(enum trial_unread what);

enum trial_recording { RECORDING_BODIES, RECORDING_CAPTURE, RECORDING_JOURNAL, RECORDINGS };

/* Why a webhook that a journal has recorded is not judged again. */
enum trial_unjudged {
  UNJUDGED_EARLIER_RELEASE, /* its record has no audit */
  UNJUDGED_NOT_KEPT,        /* bodies of its source are not recorded */
  UNJUDGED_TOO_LARGE,       /* its body was longer than those that are */
  UNJUDGED_VERDICT_MISSING, /* what it raised is not all in the journal: damage, or retention */
  UNJUDGED_REFUSED,         /* the new rules raise more than fits in one piece */
  UNJUDGED_MALFORMED,
  UNJUDGED_REASONS
};
const char *trial_unjudged_name(enum trial_unjudged why);

struct trial_report {
  enum trial_recording recording;
  const char *format;                                          /* static text */
  uint64_t total_bytes;                                        /* 0: not known */
  uint64_t frames, segments, datagrams, connections, requests; /* captures */
  uint64_t frames_read; /* those that were taken into a stream or as a datagram; frames = read + unread, by reason */
  uint64_t unread[UNREADS];
  uint64_t journal_records, recorded_violations, recorded_webhooks; /* journals */
  uint64_t webhooks_judged, webhooks_not_judged[UNJUDGED_REASONS];  /* their sum is recorded_webhooks */
  uint64_t journal_damages;
};

struct trial_reader {
  void *context;
  /* `arrived_ns` 0: the recording does not say. The answer is given back to whoever sent it, as far as there is one. */
  void (*body)(void *context, uint64_t arrived_ns, const struct trial_body *body, struct trial_answer *answer);
  /* Of journals: what CURRENT raised; with `judged_again` by a webhook that was given as a body just before. */
  void (*violation)(void *context, const struct violation *violation, bool judged_again);
  void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
};

/* False with errors: nothing could be read. */
bool trial_recording_read(const char *path, const struct trial_reader *reader, struct trial_report *report,
                          struct rule_errors *errors);

/* The first byte that is no white space begins an object or a list. */
bool trial_looks_like_json(const void *bytes, size_t length);
/* trial_capture.c: pcap and pcapng, by libpcap. Closes the file. */
bool trial_capture_read_file(FILE *file, const char *name, const struct trial_reader *reader, struct trial_report *report,
                             struct rule_errors *errors);
bool trial_is_capture(const uint8_t *bytes, size_t length);
/* trial_journal.c */
bool trial_journal_read(const char *directory, const struct trial_reader *reader, struct trial_report *report,
                        struct rule_errors *errors);
