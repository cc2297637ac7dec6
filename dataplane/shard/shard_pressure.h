#pragma once
/* What a shard has a bounded amount of, how full each is, and what is shed for it. docs/operating.md has the order. */
#include "watermark.h"

enum pressure_resource {
  RESOURCE_CONNECTIONS, /* TIME-WAIT not counted: it makes room when asked */
  RESOURCE_HALF_OPEN,
  RESOURCE_RECEIVE_BLOCKS,
  RESOURCE_SEND_BLOCKS,
  RESOURCE_BODIES_1, /* body buffers, by size: each counts with those above it, which its bodies may take */
  RESOURCE_BODIES_2,
  RESOURCE_BODIES_3,
  RESOURCE_BODIES_4,
  RESOURCE_HTTP2_CONNECTIONS,
  RESOURCE_HTTP2_STREAMS,
  RESOURCE_HTTP2_MEMORY,
  RESOURCE_DIGESTS, /* the fullest ring to another shard */
  RESOURCE_RECORDS, /* violations and webhooks on their way to the journal */
  RESOURCE_TRACES,  /* live ones */
  RESOURCE_REPLAY_IDS,
  RESOURCE_PARKED,
  RESOURCES
};

/* What is shed, first to last. */
enum shed {
  SHED_IDLE_CONNECTIONS, /* and what is slow or unread */
  SHED_SPANS,            /* acknowledged as received; UDP datagrams */
  SHED_WEBHOOKS,         /* acknowledged as received */
  SHED_CONNECTIONS,      /* new ones, to ports where no webhooks are taken */
  SHED_DURABLE_SPANS,    /* acknowledged as durable */
  SHED_DURABLE_WEBHOOKS, /* only when nothing can become durable; else each that finds no room is answered 503 */
  SHEDS
};

const char *pressure_resource_name(enum pressure_resource resource);
const char *shed_name(enum shed what);
