#pragma once
/* A wire of two ends in memory, for a shard and its client in one thread: frames are written where the other end reads them, none
 * is lost as long as there is room. */
#include "driver.h"

#define MEMORY_WIRE_MTU 1500u

struct memory_wire;
struct memory_wire *memory_wire_create(void);
void memory_wire_free(struct memory_wire *wire);
struct driver_queue *memory_wire_end(struct memory_wire *wire, unsigned end); /* 0 or 1 */
/* Frames that wait for this end. */
uint32_t memory_wire_waiting(const struct memory_wire *wire, unsigned end);
