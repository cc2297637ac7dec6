#pragma once
/* What one remote address may hold of a shard: connections, half-open ones, requests in progress, body buffers. An IPv6 address
 * counts as its /64, which one host has whole.
 *
 * An account exists while something is charged to it or holds it, so a table of as many accounts as there are connections is
 * never full. Memory: from the arena. Threads: one shard. */
#include "arena.h"
#include "ip_address.h"
#include "siphash.h"
#include <stdbool.h>
#include <stdint.h>

enum address_quota { ADDRESS_CONNECTIONS, ADDRESS_HALF_OPEN, ADDRESS_REQUESTS, ADDRESS_BODY_BYTES, ADDRESS_QUOTAS };

struct address_limits_config {
  uint32_t most[ADDRESS_QUOTAS]; /* an address; 0: no limit */
  uint32_t accounts_max;
  struct siphash_key key;
};

struct address_counters {
  uint64_t refused[ADDRESS_QUOTAS];
  uint64_t accounts_exhausted; /* no account was free: refused as well */
  uint32_t accounts;           /* gauge */
};

struct address_limits;
struct address_account;

/* NULL when the arena is spent. */
struct address_limits *address_limits_create(struct arena *arena, const struct address_limits_config *config);
/* The account, made when there is none, held until the matching release; NULL when none is free. */
struct address_account *address_account_hold(struct address_limits *limits, const struct ip_address *address);
void address_account_release(struct address_limits *limits, struct address_account *account);
/* Not held: valid until the next call that may end it. NULL: nothing is charged to the address. */
struct address_account *address_account_find(struct address_limits *limits, const struct ip_address *address);
/* False: it would be more than one address may have (counted). */
bool address_charge(struct address_limits *limits, struct address_account *account, enum address_quota quota, uint32_t amount);
void address_credit(struct address_limits *limits, struct address_account *account, enum address_quota quota, uint32_t amount);
/* Whether one more would be refused; counts it when so. `account` may be NULL. */
bool address_is_at_limit(struct address_limits *limits, const struct address_account *account, enum address_quota quota);
const struct address_counters *address_limits_counters(const struct address_limits *limits);
const char *address_quota_name(enum address_quota quota);
