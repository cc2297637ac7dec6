#pragma once
/* The port: frames in, frames out. A queue is a (port, queue) pair and belongs to one shard.
 *
 * Received frames are borrowed until released; a shard may pass a frame to another shard, which releases it through its own
 * queue of the same port. Frames to send are taken from the queue, filled and sent; what the port cannot send now it keeps or
 * drops and counts. Threads: each queue one shard; `driver_frame` hand-over between shards of a port is legal. */
#include <stdbool.h>
#include <stdint.h>

struct driver_frame {
  uint8_t *bytes;
  uint32_t length;
  bool checksum_bad; /* the NIC verified and found it wrong */
  void *owner;       /* the driver's */
};

struct driver_queue_counters {
  uint64_t received, received_bytes, sent, sent_bytes;
  uint64_t send_dropped; /* the port took no more */
  uint64_t no_buffer;    /* no frame to fill for sending */
};

struct driver_queue; /* implementation's */

struct driver_queue_operations {
  /* Up to `most` frames; returns how many. */
  uint32_t (*receive)(struct driver_queue *queue, struct driver_frame *frames, uint32_t most);
  void (*release)(struct driver_queue *queue, struct driver_frame *frames, uint32_t count);
  /* A frame to fill: `bytes` points at its start, `length` says its room. False when there is none. */
  bool (*take)(struct driver_queue *queue, struct driver_frame *frame);
  /* Queues a filled frame (length set) for sending with DRIVER offloads; it leaves at the latest with `flush`. */
  void (*send)(struct driver_queue *queue, struct driver_frame *frame, uint32_t offload);
  void (*flush)(struct driver_queue *queue);
  const struct driver_queue_counters *(*counters)(const struct driver_queue *queue);
};

struct driver_queue {
  const struct driver_queue_operations *operations;
};

/* What the whole port has counted; any thread. Kernel-backed ports report no misses: their interface's drops are in `missed`
 * where the driver can read them. */
struct driver_port_counters {
  uint64_t received, missed, errors, no_buffer, sent, send_errors;
};

/* Filled by the driver when a port is opened; constant after. */
struct driver_port_information {
  char name[32];
  uint8_t mac[6];
  uint16_t mtu;
  uint32_t offload; /* enum network_offload mask (same values): what the port does, what software must verify */
  uint32_t queues;
  bool flow_steering;   /* the port itself brings all frames of a flow to one queue (RSS): no software fan-out */
  uint32_t frame_bytes; /* room in a frame to send */
};
