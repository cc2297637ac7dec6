#include "address_limits.h"
#include "always_assert.h"
#include "pool.h"

struct address_account {
  struct ip_address address; /* of IPv6 the prefix, the rest 0 */
  struct address_account *chain;
  uint32_t holders; /* each charge is one as well */
  uint64_t used[ADDRESS_QUOTAS];
};

struct address_limits {
  struct address_limits_config config;
  struct address_account **buckets;
  uint32_t bucket_mask;
  struct pool accounts;
  struct address_counters counters;
};

struct address_limits *address_limits_create(struct arena *arena, const struct address_limits_config *config) {
  struct address_limits *limits = ARENA_NEW(arena, struct address_limits);
  uint32_t buckets = 16;
  if (!limits) return NULL;
  while (buckets < config->accounts_max && buckets < 1u << 31) buckets *= 2;
  limits->config = *config;
  limits->bucket_mask = buckets - 1;
  limits->buckets = ARENA_ARRAY(arena, struct address_account *, buckets);
  if (!limits->buckets || !pool_init(&limits->accounts, arena, sizeof(struct address_account), config->accounts_max)) return NULL;
  return limits;
}

static struct ip_address counted_address(const struct ip_address *address) {
  struct ip_address counted = *address;
  if (!ip_address_is_ipv4(address)) counted.words[1] = 0;
  return counted;
}

static struct address_account **bucket_of(struct address_limits *limits, const struct ip_address *counted) {
  return &limits->buckets[siphash(&limits->config.key, counted->words, sizeof counted->words) & limits->bucket_mask];
}

static struct address_account *find(struct address_limits *limits, const struct ip_address *counted) {
  struct address_account *account = *bucket_of(limits, counted);
  while (account && !ip_address_equal(&account->address, counted)) account = account->chain;
  return account;
}

struct address_account *address_account_find(struct address_limits *limits, const struct ip_address *address) {
  const struct ip_address counted = counted_address(address);
  return find(limits, &counted);
}

struct address_account *address_account_hold(struct address_limits *limits, const struct ip_address *address) {
  const struct ip_address counted = counted_address(address);
  struct address_account *account = find(limits, &counted);
  if (!account) {
    account = pool_take(&limits->accounts);
    if (!account) {
      limits->counters.accounts_exhausted++;
      return NULL;
    }
    struct address_account **bucket = bucket_of(limits, &counted);
    *account = (struct address_account){.address = counted, .chain = *bucket};
    *bucket = account;
    limits->counters.accounts++;
  }
  account->holders++;
  return account;
}

void address_account_release(struct address_limits *limits, struct address_account *account) {
  ALWAYS_ASSERT(account->holders > 0);
  if (--account->holders > 0) return;
  for (unsigned quota = 0; quota < ADDRESS_QUOTAS; quota++) ALWAYS_ASSERT(account->used[quota] == 0);
  struct address_account **at = bucket_of(limits, &account->address);
  while (*at != account) at = &(*at)->chain;
  *at = account->chain;
  limits->counters.accounts--;
  pool_give(&limits->accounts, account);
}

static bool beyond(const struct address_limits *limits, const struct address_account *account, enum address_quota quota,
                   uint32_t amount) {
  const uint64_t most = limits->config.most[quota];
  return most && (account ? account->used[quota] : 0) + amount > most;
}

bool address_charge(struct address_limits *limits, struct address_account *account, enum address_quota quota, uint32_t amount) {
  if (beyond(limits, account, quota, amount)) {
    limits->counters.refused[quota]++;
    return false;
  }
  account->used[quota] += amount;
  account->holders++;
  return true;
}

void address_credit(struct address_limits *limits, struct address_account *account, enum address_quota quota, uint32_t amount) {
  ALWAYS_ASSERT(account->used[quota] >= amount);
  account->used[quota] -= amount;
  address_account_release(limits, account);
}

bool address_is_at_limit(struct address_limits *limits, const struct address_account *account, enum address_quota quota) {
  if (!beyond(limits, account, quota, 1)) return false;
  limits->counters.refused[quota]++;
  return true;
}

const struct address_counters *address_limits_counters(const struct address_limits *limits) { return &limits->counters; }

const char *address_quota_name(enum address_quota quota) {
  static const char *const names[ADDRESS_QUOTAS] = {"connections", "half_open", "requests", "body_bytes"};
  ALWAYS_ASSERT(quota < ADDRESS_QUOTAS);
  return names[quota];
}
