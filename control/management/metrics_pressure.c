/* How full what is bounded is, and what was refused or ended for it. */
#include "metrics_internal.h"

#define EACH_SHARD(index) for (uint32_t index = 0; index < snapshot->shard_count; index++)

static void head(struct text_buffer *out, const char *name, const char *type, const char *help) {
  text_append(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void line(struct text_buffer *out, const char *name, uint32_t shard, const char *label, const char *value,
                 uint64_t count) {
  text_append(out, "%s{shard=\"%u\",%s=\"%s\"} %llu\n", name, shard, label, value, (unsigned long long)count);
}

static void render_resources(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  head(out, "tripline_pressure", "gauge", "State of a bounded resource: 0 normal, 1 soft, 2 hard.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < RESOURCES; r++)
    line(out, "tripline_pressure", i, "resource", pressure_resource_name(r), snapshot->shards[i].pressure[r].state);
  head(out, "tripline_pressure_used", "gauge", "How much of the resource is in use, in its own unit.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < RESOURCES; r++)
    line(out, "tripline_pressure_used", i, "resource", pressure_resource_name(r), snapshot->shards[i].pressure[r].used);
  head(out, "tripline_pressure_capacity", "gauge", "How much of the resource there is.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < RESOURCES; r++)
    line(out, "tripline_pressure_capacity", i, "resource", pressure_resource_name(r), snapshot->shards[i].pressure[r].capacity);
  head(out, "tripline_pressure_transitions_total", "counter", "Times a resource came into a state.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < RESOURCES; r++)
    for (unsigned state = 0; state < PRESSURES; state++)
      text_append(out, "tripline_pressure_transitions_total{shard=\"%u\",resource=\"%s\",state=\"%s\"} %llu\n", i,
                  pressure_resource_name(r), pressure_name(state),
                  (unsigned long long)snapshot->shards[i].pressure[r].entered[state]);
}

static void render_shed(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  static const enum shed requests[] = {SHED_SPANS, SHED_WEBHOOKS, SHED_DURABLE_SPANS, SHED_DURABLE_WEBHOOKS};
  head(out, "tripline_shedding", "gauge", "1 while this is shed.");
  EACH_SHARD(i)
  for (unsigned what = 0; what < SHEDS; what++)
    line(out, "tripline_shedding", i, "what", shed_name(what), snapshot->shards[i].shedding >> what & 1);
  head(out, "tripline_requests_shed_total", "counter", "Requests and datagrams refused by pressure, by what they were.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < sizeof requests / sizeof *requests; r++)
    line(out, "tripline_requests_shed_total", i, "what", shed_name(requests[r]), snapshot->shards[i].shard.shed[requests[r]]);
  head(out, "tripline_connections_shed_total", "counter",
       "Connections and streams ended because others needed what they held, by what they were at.");
  EACH_SHARD(i)
  for (unsigned what = 0; what < HTTP_SHEDS; what++)
    line(out, "tripline_connections_shed_total", i, "what", http_shed_name(what), snapshot->shards[i].http.shed[what]);
}

static void render_refused(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  head(out, "tripline_tcp_refused_total", "counter", "Connections that were not taken, by reason.");
  EACH_SHARD(i) {
    const struct network_counters *network = &snapshot->shards[i].network;
    line(out, "tripline_tcp_refused_total", i, "reason", "full", network->tcp_refused_full);
    line(out, "tripline_tcp_refused_total", i, "reason", "half_open", network->tcp_refused_half_open);
    line(out, "tripline_tcp_refused_total", i, "reason", "port", network->tcp_refused_port);
    line(out, "tripline_tcp_refused_total", i, "reason", "drain", network->tcp_refused_drain);
    line(out, "tripline_tcp_refused_total", i, "reason", "overload", network->tcp_refused_overload);
    line(out, "tripline_tcp_refused_total", i, "reason", "address", network->tcp_refused_address);
  }
  head(out, "tripline_address_refused_total", "counter", "Refusals because one remote address had enough, by what it had.");
  EACH_SHARD(i)
  for (unsigned quota = 0; quota < ADDRESS_QUOTAS; quota++)
    line(out, "tripline_address_refused_total", i, "quota", address_quota_name(quota),
         snapshot->shards[i].addresses.refused[quota]);
  head(out, "tripline_addresses", "gauge", "Remote addresses that have something now; 0 without limits.");
  EACH_SHARD(i)
  text_append(out, "tripline_addresses{shard=\"%u\"} %u\n", i, snapshot->shards[i].addresses.accounts);
}

void metrics_render_pressure(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  render_resources(out, snapshot);
  render_shed(out, snapshot);
  render_refused(out, snapshot);
}
