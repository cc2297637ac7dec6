/* Limits of one address, and listeners that take nobody for now. */
#include "tcp_internal.h"

bool tcp_admits(struct network *network, const struct segment *segment, uint32_t listener) {
  struct address_limits *addresses = network->config.address_limits;
  if (network->shed_listeners >> listener & 1) {
    /* Silence: the peer's SYN comes again. */
    network->counters.tcp_refused_overload++;
    return false;
  }
  if (!addresses) return true;
  const struct address_account *account = address_account_find(addresses, &segment->key.peer);
  if (!address_is_at_limit(addresses, account, ADDRESS_CONNECTIONS) &&
      !address_is_at_limit(addresses, account, ADDRESS_HALF_OPEN))
    return true;
  network->counters.tcp_refused_address++;
  tcp_refuse(network, segment);
  return false;
}

bool tcp_admission_begin(struct stream *stream) {
  struct address_limits *addresses = stream->network->config.address_limits;
  if (!addresses) return true;
  struct address_account *account = address_account_hold(addresses, &stream->key.peer);
  if (!account) return false;
  bool charged = address_charge(addresses, account, ADDRESS_CONNECTIONS, 1);
  if (charged && !address_charge(addresses, account, ADDRESS_HALF_OPEN, 1)) {
    address_credit(addresses, account, ADDRESS_CONNECTIONS, 1);
    charged = false;
  }
  address_account_release(addresses, account);
  if (charged) stream->flags |= STREAM_CHARGED;
  return charged;
}

static void credit(const struct stream *stream, enum address_quota quota) {
  struct address_limits *addresses = stream->network->config.address_limits;
  struct address_account *account = address_account_find(addresses, &stream->key.peer);
  ALWAYS_ASSERT(account);
  address_credit(addresses, account, quota, 1);
}

void tcp_admission_established(struct stream *stream) {
  if (stream->flags & STREAM_CHARGED) credit(stream, ADDRESS_HALF_OPEN);
}

void tcp_admission_end(struct stream *stream) {
  if (!(stream->flags & STREAM_CHARGED)) return;
  stream->flags &= ~(uint32_t)STREAM_CHARGED;
  if (stream->state == TCP_SYN_RECEIVED) credit(stream, ADDRESS_HALF_OPEN);
  credit(stream, ADDRESS_CONNECTIONS);
}

void network_shed_connections(struct network *network, uint32_t listeners) { network->shed_listeners = listeners; }

void network_use(const struct network *network, struct network_use *use) {
  const struct network_counters *counters = &network->counters;
  *use = (struct network_use){.connections = {counters->tcp_connections - counters->tcp_time_wait, network->streams.capacity},
                              .half_open = {counters->tcp_half_open, network->config.half_open_max},
                              .receive_blocks = {network->receive_blocks.in_use, network->receive_blocks.capacity},
                              .send_blocks = {network->send_blocks.in_use, network->send_blocks.capacity}};
}
