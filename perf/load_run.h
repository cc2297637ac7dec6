#pragma once
/* One measured run of the load generator: opens connections, keeps a window of requests outstanding over them in turn, checks
 * every answer, closes. Threads: one, which polls. */
#include "histogram.h"
#include "load_request.h"
#include "load_tcp.h"

#define LOAD_WINDOW_MAX 1024u
#define LOAD_CONNECTIONS_MAX 100000u

/* The generator's end of the wire. */
struct load {
  struct load_wire wire;
  struct segment_ends ends;     /* of connection 0; the others count ports and then addresses up */
  uint64_t numbers[LOAD_KINDS]; /* requests made of each kind, over all runs: ids never repeat */
  uint64_t incarnation;
};

struct load_plan {
  const struct load_request *request;
  uint32_t connections;
  uint32_t window; /* requests outstanding, the same number on each connection or one on some */
  double seconds;  /* measured, after a tenth of it to warm up */
  int appliance;   /* process id; 0: not known */
};

struct load_result {
  uint64_t requests;    /* answered in the measured time */
  uint64_t refused;     /* 503, in all */
  uint64_t violations;  /* among `all` */
  uint64_t all;         /* answered in all: what the appliance must have counted */
  double seconds;       /* measured */
  double shard_seconds; /* of them, on a core: the shard's thread; 0 when the process is not known */
  double idle;          /* share of the time in which the generator had nothing to do */
  uint64_t retransmits, segments;
  struct histogram latency_ns;
};

/* Asks for the appliance's MAC. Ends the program when nobody answers. */
void load_resolve(struct load *load);
void load_run(struct load *load, const struct load_plan *plan, struct load_result *result);
