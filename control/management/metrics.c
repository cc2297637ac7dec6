#include "metrics.h"
#include "metrics_internal.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* A family whose value is one 64-bit field of each shard's snapshot. */
struct shard_family {
  const char *name, *type, *help;
  size_t offset;
};

#define FIELD(member) offsetof(struct shard_snapshot, member)

static const struct shard_family families[] = {
    {"tripline_wire_received_frames_total", "counter", "Frames taken from the port.", FIELD(queue.received)},
    {"tripline_wire_received_bytes_total", "counter", "Bytes of frames taken from the port.", FIELD(queue.received_bytes)},
    {"tripline_wire_sent_frames_total", "counter", "Frames given to the port.", FIELD(queue.sent)},
    {"tripline_wire_send_dropped_frames_total", "counter", "Frames the port did not take.", FIELD(queue.send_dropped)},
    {"tripline_wire_send_no_buffer_total", "counter", "Times no frame was free for sending.", FIELD(queue.no_buffer)},
    {"tripline_frames_processed_total", "counter", "Frames that the network stack judged.", FIELD(network.frames_received)},
    {"tripline_frames_handed_over_total", "counter", "Frames that the port brought to another shard than their flow's owner.",
     FIELD(shard.frames_handed_over)},
    {"tripline_frames_taken_over_total", "counter", "Frames taken from the shard that received them.",
     FIELD(shard.frames_taken_over)},
    {"tripline_frames_hand_over_dropped_total", "counter", "Frames lost because the owner's ring was full.",
     FIELD(shard.frames_hand_over_dropped)},
    {"tripline_tcp_delivered_segments_total", "counter", "TCP segments delivered to the stack.", FIELD(network.tcp_delivered)},
    {"tripline_udp_delivered_datagrams_total", "counter", "UDP datagrams delivered to a listener.", FIELD(network.udp_delivered)},
    {"tripline_arp_answered_total", "counter", "ARP requests answered.", FIELD(network.arp_answered)},
    {"tripline_nd_answered_total", "counter", "IPv6 neighbour solicitations answered.", FIELD(network.nd_answered)},
    {"tripline_fragments_kept_total", "counter", "Fragments taken that completed no datagram.", FIELD(network.fragments_kept)},
    {"tripline_datagrams_reassembled_total", "counter", "UDP datagrams put together.", FIELD(network.datagrams_reassembled)},
    {"tripline_reassembly_timed_out_total", "counter", "Datagrams given up: a fragment never came.",
     FIELD(network.reassembly_timed_out)},
    {"tripline_reassembly_evicted_total", "counter", "Datagrams given up for newer ones.", FIELD(network.reassembly_evicted)},
    {"tripline_reassembly_rejected_total", "counter", "Datagrams given up: their fragments contradicted each other.",
     FIELD(network.reassembly_rejected)},
    {"tripline_icmp_answered_total", "counter", "ICMP echo requests answered.", FIELD(network.icmp_answered)},
    {"tripline_icmp_too_big_total", "counter", "ICMP errors that lowered a connection's segment size.",
     FIELD(network.icmp_too_big)},
    {"tripline_tcp_opened_total", "counter", "Connections begun.", FIELD(network.tcp_opened)},
    {"tripline_tcp_established_total", "counter", "Connections established.", FIELD(network.tcp_established)},
    {"tripline_tcp_retransmitted_segments_total", "counter", "Segments sent again.", FIELD(network.tcp_retransmits)},
    {"tripline_tcp_out_of_order_segments_total", "counter", "Segments that came early.", FIELD(network.tcp_out_of_order)},
    {"tripline_tcp_resets_sent_total", "counter", "RST segments sent.", FIELD(network.tcp_resets_sent)},
    {"tripline_tcp_resets_received_total", "counter", "RST segments that closed a connection.",
     FIELD(network.tcp_resets_received)},
    {"tripline_tcp_challenge_acks_total", "counter", "Challenge ACKs sent (RFC 5961).", FIELD(network.tcp_challenge_acks)},
    {"tripline_tcp_cookies_sent_total", "counter", "SYN cookies sent (RFC 4987).", FIELD(network.tcp_cookies_sent)},
    {"tripline_tcp_cookies_accepted_total", "counter", "Connections opened by a SYN cookie.",
     FIELD(network.tcp_cookies_accepted)},
    {"tripline_tcp_cookies_rejected_total", "counter", "ACKs that were no SYN cookie's.", FIELD(network.tcp_cookies_rejected)},
    {"tripline_tcp_keep_alives_sent_total", "counter", "Silent peers asked whether they live.",
     FIELD(network.tcp_keep_alives_sent)},
    {"tripline_tcp_keep_alive_timed_out_total", "counter", "Connections reset: the peer never answered.",
     FIELD(network.tcp_keep_alive_timed_out)},
    {"tripline_requests_total", "counter", "HTTP requests begun.", FIELD(http.requests)},
    {"tripline_request_body_bytes_total", "counter", "Body bytes received, before decoding.", FIELD(http.body_bytes)},
    {"tripline_request_no_body_buffer_total", "counter", "Requests refused for want of a body buffer.",
     FIELD(http.no_body_buffer)},
    {"tripline_requests_refused_in_progress_total", "counter", "Requests refused because too many were in progress in the shard.",
     FIELD(http.refused_requests_max)},
    {"tripline_request_bodies_withheld_total", "counter", "Of those, refused a buffer that was kept for others.",
     FIELD(http.bodies_withheld)},
    {"tripline_connections_closing_timed_out_total", "counter",
     "Connections reset because the peer did not take its last answer.", FIELD(http.closing_timed_out)},
    {"tripline_http2_streams_refused_total", "counter", "HTTP/2 streams refused: none free, or draining.",
     FIELD(http.http2_streams_refused)},
    {"tripline_http2_connection_errors_total", "counter",
     "HTTP/2 connections ended for what the peer sent, or for want of memory.", FIELD(http.http2_errors)},
    {"tripline_http2_no_memory_total", "counter", "Times the memory of HTTP/2 was spent.", FIELD(http.http2_no_memory)},
    {"tripline_tls_handshakes_begun_total", "counter", "Connections to TLS ports.", FIELD(tls.handshakes_begun)},
    {"tripline_tls_handshakes_total", "counter", "TLS handshakes done.", FIELD(tls.handshakes_done)},
    {"tripline_tls_handshakes_deferred_total", "counter", "TLS handshakes whose turn did not come in the step they came in.",
     FIELD(tls.handshakes_deferred)},
    {"tripline_tls_received_bytes_total", "counter", "Bytes decrypted.", FIELD(tls.received_bytes)},
    {"tripline_tls_sent_bytes_total", "counter", "Bytes encrypted.", FIELD(tls.sent_bytes)},
    {"tripline_tls_key_updates_total", "counter", "KeyUpdate messages of clients.", FIELD(tls.key_updates)},
    {"tripline_tls_memory_refused_total", "counter", "Times TLS had no memory for a connection.", FIELD(tls.memory_refused)},
    {"tripline_tls_memory_bytes", "gauge", "Memory that TLS holds now.", FIELD(tls.memory_bytes)},
    {"tripline_tls_memory_most_bytes", "gauge", "The most that it held.", FIELD(tls.memory_most_bytes)},
    {"tripline_otlp_grpc_calls_total", "counter", "OTLP requests that came as gRPC calls.", FIELD(shard.otlp_grpc_calls)},
    {"tripline_zipkin_requests_total", "counter", "Zipkin requests decoded.", FIELD(shard.zipkin_requests)},
    {"tripline_otlp_datagrams_accepted_total", "counter", "OTLP datagrams whose spans were judged.",
     FIELD(shard.otlp_datagrams.outcomes[DATAGRAM_ACCEPTED])},
    {"tripline_jaeger_datagrams_total", "counter", "Jaeger datagrams received.", FIELD(shard.jaeger_datagrams.received)},
    {"tripline_jaeger_datagrams_accepted_total", "counter", "Jaeger datagrams whose spans were judged.",
     FIELD(shard.jaeger_datagrams.outcomes[DATAGRAM_ACCEPTED])},
    {"tripline_spans_decoded_total", "counter", "Spans found in requests, rejected ones included.", FIELD(shard.spans_decoded)},
    {"tripline_spans_evaluated_total", "counter", "Spans judged by the rules.", FIELD(shard.spans_evaluated)},
    {"tripline_webhooks_accepted_total", "counter", "Webhooks that took effect.", FIELD(shard.webhooks_accepted)},
    {"tripline_webhooks_durable_total", "counter", "Accepted webhooks whose record is durable.", FIELD(shard.webhooks_durable)},
    {"tripline_webhooks_received_only_total", "counter", "Accepted webhooks acknowledged before durability.",
     FIELD(shard.webhooks_received_only)},
    {"tripline_webhooks_repeated_total", "counter", "Repeated webhooks that got the first answer again.",
     FIELD(shard.webhooks_repeated)},
    {"tripline_violations_emitted_total", "counter", "Violations raised by the rules.", FIELD(engine.violations_emitted)},
    {"tripline_digests_sent_total", "counter", "Digests of spans and of windows sent to their owners.",
     FIELD(engine.digests_sent)},
    {"tripline_digests_applied_total", "counter", "Digests of spans and of windows applied by their owners.",
     FIELD(engine.digests_applied)},
    {"tripline_traces_opened_total", "counter", "Traces begun.", FIELD(engine.traces_opened)},
    {"tripline_traces_evicted_total", "counter", "Live traces given up for want of room: always-rules were not judged.",
     FIELD(engine.traces_evicted)},
    {"tripline_spans_late_total", "counter", "Spans of traces that were already judged.", FIELD(engine.spans_late)},
    {"tripline_trace_verdicts_withheld_total", "counter",
     "Times that a trace was not judged, as something that it met or was judged could not be kept.",
     FIELD(engine.verdicts_withheld)},
    {"tripline_trace_spills_exhausted_total", "counter", "Times that traces.spills_max was reached.",
     FIELD(engine.spills_exhausted)},
    {"tripline_trace_captures_exhausted_total", "counter",
     "Times that traces.captures_max was reached: a violation without values.", FIELD(engine.captures_exhausted)},
    {"tripline_trace_verdicts_lost_total", "counter", "Verdicts that found both the journal ring and traces.spills_max full.",
     FIELD(engine.verdicts_lost)},
    {"tripline_trace_story_spans_total", "counter", "Spans noted for rules that compare the spans of a trace.",
     FIELD(engine.story.spans)},
    {"tripline_trace_story_duplicates_total", "counter", "Spans that came again and were not counted twice.",
     FIELD(engine.story.duplicates)},
    {"tripline_trace_story_full_total", "counter", "Traces whose spans found no room in traces.story_max.",
     FIELD(engine.story.partial_full)},
    {"tripline_trace_story_large_total", "counter", "Traces with more spans than rules may compare.",
     FIELD(engine.story.partial_large)},
    {"tripline_trace_story_over_steps_total", "counter", "Traces whose spans took more than traces.story_steps_max to judge.",
     FIELD(engine.story.partial_steps)},
    {"tripline_trace_story_reclaimed_total", "counter", "Spans of judged traces given up for those of others.",
     FIELD(engine.story.reclaimed)},
    {"tripline_trace_story_unjudged_total", "counter", "Verdicts not given as the spans of the trace were not all kept.",
     FIELD(engine.story.rules_unjudged)},
    {"tripline_trace_story_lines", "gauge", "Lines of traces.story_max in use.", FIELD(engine.story.lines_used)},
    {"tripline_trace_verdicts_retried_total", "counter", "Times that a verdict of a trace waited for room in the journal ring.",
     FIELD(engine.violations_retried)},
    {"tripline_digests_unplaced_total", "counter", "Digests of traces for which no room could be made.",
     FIELD(engine.digests_unplaced)},
    {"tripline_window_digests_sent_total", "counter", "Of the digests sent, those about windows.",
     FIELD(engine.window_digests_sent)},
    {"tripline_window_events_total", "counter", "Events that were counted in windows.", FIELD(engine.window_events)},
    {"tripline_window_events_late_total", "counter", "Of these, events that came when their window had passed.",
     FIELD(engine.window_events_late)},
    {"tripline_window_events_unplaced_total", "counter", "Of these, events that found no memory for what they add.",
     FIELD(engine.window_events_unplaced)},
    {"tripline_window_digests_unplaced_total", "counter", "Digests about windows that found no room for their key.",
     FIELD(engine.window_digests_unplaced)},
    {"tripline_window_digests_stale_total", "counter", "Digests about windows of rules that are no more.",
     FIELD(engine.window_digests_stale)},
    {"tripline_window_keys_opened_total", "counter", "Window keys begun.", FIELD(engine.window_keys_opened)},
    {"tripline_window_keys_expired_total", "counter", "Window keys that had nothing left to remember.",
     FIELD(engine.window_keys_expired)},
    {"tripline_window_keys_evicted_total", "counter", "Window keys forgotten for want of room, least recently used first.",
     FIELD(engine.window_keys_evicted)},
    {"tripline_window_keys_dropped_total", "counter", "Window keys whose rule went or changed, or that a drain ended.",
     FIELD(engine.window_keys_dropped)},
    {"tripline_window_values_merged_total", "counter", "Values that share a bin of a quantile with others far from them.",
     FIELD(engine.window_values_merged)},
    {"tripline_window_verdicts_cut_total", "counter",
     "Verdicts that waited for the journal ring and could not keep their event: it is about the key alone.",
     FIELD(engine.window_events_cut)},
    {"tripline_rules_over_steps_total", "counter", "Batches whose step budget was spent before all rules were asked.",
     FIELD(engine.batches_over_steps)},
    {"tripline_rules_unjudged_total", "counter", "Rules and selectors not asked about a batch as its steps were spent.",
     FIELD(engine.programs_unjudged)},
    {"tripline_elements_unjudged_total", "counter", "Values of body paths with [*] that no rule judged: too many of one event.",
     FIELD(engine.elements_unjudged)},
    {"tripline_replay_ids_refused_total", "counter", "Webhooks refused because the table of ids is full.", FIELD(replay.full)},
    {"tripline_replay_ids_expired_total", "counter", "Webhook ids forgotten after their window.", FIELD(replay.expired)},
    {"tripline_overload_answers_total", "counter", "Answers 503.", FIELD(shard.overload_answers)},
    {"tripline_receiving_paused_total", "counter", "Times the receive windows were closed for the journal.",
     FIELD(shard.receiving_paused)},
    {"tripline_loop_steps_total", "counter", "Turns of the polling loop.", FIELD(shard.steps)},
    {"tripline_loop_busy_steps_total", "counter", "Turns that found something to do.", FIELD(shard.steps_busy)},
    {"tripline_loop_busy_cycles_total", "counter", "Cycles spent in busy turns.", FIELD(shard.busy_cycles)},
    {"tripline_loop_idle_cycles_total", "counter", "Cycles spent in idle turns.", FIELD(shard.idle_cycles)},
    {"tripline_long_loops_total", "counter", "Turns longer than a millisecond.", FIELD(shard.long_loops)},
    {"tripline_record_ring_waiting_bytes", "gauge", "Bytes of records that the journal has not taken yet.",
     FIELD(records.bytes_waiting)},
    {"tripline_shard_rules_generation", "gauge", "Generation of the rule set that the shard evaluates.", FIELD(generation)},
};

static void head(struct text_buffer *out, const char *name, const char *type, const char *help) {
  text_append(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void render_families(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    const struct shard_family *family = &families[i];
    head(out, family->name, family->type, family->help);
    for (uint32_t shard = 0; shard < snapshot->shard_count; shard++) {
      const uint64_t *value = (const uint64_t *)(const void *)((const char *)&snapshot->shards[shard] + family->offset);
      text_append(out, "%s{shard=\"%u\"} %llu\n", family->name, shard, (unsigned long long)*value);
    }
  }
}

static void line(struct text_buffer *out, const char *name, uint32_t shard, const char *label, const char *value,
                 uint64_t count) {
  text_append(out, "%s{shard=\"%u\",%s=\"%s\"} %llu\n", name, shard, label, value, (unsigned long long)count);
}

static void gauge(struct text_buffer *out, const char *name, uint32_t shard, uint64_t value) {
  text_append(out, "%s{shard=\"%u\"} %llu\n", name, shard, (unsigned long long)value);
}

#define EACH_SHARD(index) for (uint32_t index = 0; index < snapshot->shard_count; index++)

/* The same for fields of 32 bits. */
static const struct shard_family gauges[] = {
    {"tripline_reassembly_held", "gauge", "Datagrams being put together now.", FIELD(network.reassembly_held)},
    {"tripline_tcp_connections", "gauge", "Connections now.", FIELD(network.tcp_connections)},
    {"tripline_requests_in_progress", "gauge", "HTTP requests begun and not ended.", FIELD(http.in_progress)},
    {"tripline_responses_parked", "gauge", "Answers that wait for durability or for another shard.", FIELD(shard.parked)},
    {"tripline_webhooks_pending", "gauge", "Accepted webhooks that are not durable yet.", FIELD(shard.webhooks_pending)},
    {"tripline_traces_live", "gauge", "Traces that are not complete; memory only, lost in a crash.", FIELD(engine.traces_live)},
    {"tripline_window_keys", "gauge", "Window keys; memory only, lost in a crash.", FIELD(engine.window_keys_live)},
    {"tripline_window_blocks", "gauge", "Blocks of 512 bytes that windows hold, of two for each of windows.keys_max.",
     FIELD(engine.window_blocks_in_use)},
    {"tripline_tls_connections", "gauge", "TLS connections open now.", FIELD(tls.open)},
    {"tripline_tls_handshakes_in_progress", "gauge", "TLS handshakes begun and not ended.", FIELD(tls.handshaking)},
    {"tripline_tls_handshakes_waiting", "gauge", "Of these, waiting for their turn.", FIELD(tls.waiting)},
    {"tripline_http2_connections", "gauge", "HTTP/2 connections now.", FIELD(http.http2_connections)},
    {"tripline_replay_ids", "gauge", "Webhook ids remembered.", FIELD(replay.live)},
};

static void render_gauges(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++) {
    head(out, gauges[g].name, gauges[g].type, gauges[g].help);
    EACH_SHARD(i) {
      const char *fields = (const char *)&snapshot->shards[i];
      gauge(out, gauges[g].name, i, *(const uint32_t *)(const void *)(fields + gauges[g].offset));
    }
  }
  head(out, "tripline_shard_answers", "gauge", "0 when the shard did not answer in time: its counters are those it gave last.");
  EACH_SHARD(i) gauge(out, "tripline_shard_answers", i, snapshot->shard_answered[i]);
  head(out, "tripline_shard_heap_allocated_bytes_total", "counter",
       "Heap bytes that the shard's thread allocated after it began to poll.");
  EACH_SHARD(i)
  gauge(out, "tripline_shard_heap_allocated_bytes_total", i,
        snapshot->shard_allocated_bytes[i] - snapshot->shard_allocated_at_start_bytes[i]);
}

static void render_datagrams(struct text_buffer *out, const struct appliance_snapshot *snapshot, const char *name,
                             const char *help, size_t offset) {
  head(out, name, "counter", help);
  EACH_SHARD(i) {
    const char *fields = (const char *)&snapshot->shards[i];
    const struct datagram_counters *counters = (const struct datagram_counters *)(const void *)(fields + offset);
    for (unsigned outcome = DATAGRAM_ACCEPTED + 1; outcome < DATAGRAM_OUTCOMES; outcome++)
      line(out, name, i, "reason", datagram_outcome_name(outcome), counters->outcomes[outcome]);
  }
}

static void render_labelled(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  head(out, "tripline_frames_dropped_total", "counter", "Frames that went nowhere, by reason.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < NETWORK_DROPS; r++)
    line(out, "tripline_frames_dropped_total", i, "reason", network_drop_name(r), snapshot->shards[i].network.drops[r]);
  head(out, "tripline_responses_total", "counter", "HTTP answers, by status.");
  EACH_SHARD(i) for (unsigned status = 100; status < 600; status++) {
    char text[8];
    const uint64_t count = snapshot->shards[i].http.answered[status];
    if (count == 0 && status != 200) continue;
    snprintf(text, sizeof text, "%u", status);
    line(out, "tripline_responses_total", i, "status", text, count);
  }
  head(out, "tripline_requests_aborted_total", "counter", "Requests that ended without an answer, by reason.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < HTTP_ABORTS; r++)
    line(out, "tripline_requests_aborted_total", i, "reason", http_abort_name(r), snapshot->shards[i].http.aborted[r]);
  head(out, "tripline_http2_connections_ended_total", "counter", "HTTP/2 connections that ended, by reason.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < HTTP2_ENDS; r++)
    line(out, "tripline_http2_connections_ended_total", i, "reason", http2_end_name(r), snapshot->shards[i].http.http2_ended[r]);
  head(out, "tripline_spans_rejected_total", "counter", "Spans that were not judged, by reason.");
  EACH_SHARD(i) {
    const struct shard_counters *shard = &snapshot->shards[i].shard;
    for (unsigned r = 0; r < SPAN_REJECTS; r++)
      line(out, "tripline_spans_rejected_total", i, "reason", span_reject_name(r), shard->spans_rejected[r]);
    line(out, "tripline_spans_rejected_total", i, "reason", "overload", shard->spans_rejected_overload);
    line(out, "tripline_spans_rejected_total", i, "reason", "malformed", shard->spans_rejected_malformed);
  }
  head(out, "tripline_violations_suppressed_total", "counter", "Violations of window rules that were not raised, by reason.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < WINDOW_SILENCES; r++)
    line(out, "tripline_violations_suppressed_total", i, "reason", window_silence_name((enum window_silence)r),
         snapshot->shards[i].engine.window_suppressed[r]);
  head(out, "tripline_webhooks_refused_total", "counter", "Webhooks that were not accepted, by reason.");
  EACH_SHARD(i) for (unsigned r = 0; r < REFUSALS; r++) {
    if (r == WEBHOOK_GENUINE || r == WEBHOOK_UNSIGNED) continue;
    line(out, "tripline_webhooks_refused_total", i, "reason", webhook_refusal_name(r),
         snapshot->shards[i].shard.webhooks_refused[r]);
  }
  head(out, "tripline_traces_completed_total", "counter", "Traces that ended, by reason.");
  EACH_SHARD(i) {
    const uint64_t *completed = snapshot->shards[i].engine.traces_completed;
    for (unsigned r = 0; r < TRACE_COMPLETIONS; r++)
      line(out, "tripline_traces_completed_total", i, "reason", trace_completion_name(r), completed[r]);
  }
  head(out, "tripline_otlp_requests_total", "counter", "OTLP requests decoded, by encoding.");
  EACH_SHARD(i) {
    line(out, "tripline_otlp_requests_total", i, "encoding", "protobuf", snapshot->shards[i].shard.otlp_requests[OTLP_PROTOBUF]);
    line(out, "tripline_otlp_requests_total", i, "encoding", "json", snapshot->shards[i].shard.otlp_requests[OTLP_JSON]);
    line(out, "tripline_otlp_requests_total", i, "encoding", "datagram", snapshot->shards[i].shard.otlp_datagrams.received);
  }
  render_datagrams(out, snapshot, "tripline_otlp_datagrams_dropped_total", "OTLP datagrams that were not judged, by reason.",
                   FIELD(shard.otlp_datagrams));
  render_datagrams(out, snapshot, "tripline_jaeger_datagrams_dropped_total", "Jaeger datagrams that were not judged, by reason.",
                   FIELD(shard.jaeger_datagrams));
}

static void render_histograms(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  static const uint64_t bounds_us[] = {50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 100000, 1000000};
  static const char *const durabilities[] = {"strict", "balanced"};
  _Static_assert(sizeof durabilities / sizeof *durabilities == DURABILITY_RELAXED, "those whose answers wait");
  const char *name = "tripline_durable_park_seconds";
  head(out, name, "histogram", "From commit to the durable answer.");
  EACH_SHARD(i)
  for (unsigned d = 0; d < DURABILITY_RELAXED; d++) {
    const struct histogram *park = &snapshot->shards[i].shard.park_ns[d];
    for (size_t b = 0; b < sizeof bounds_us / sizeof *bounds_us; b++)
      text_append(out, "%s_bucket{shard=\"%u\",durability=\"%s\",le=\"%g\"} %llu\n", name, i, durabilities[d],
                  (double)bounds_us[b] / 1e6, (unsigned long long)histogram_count_at_most(park, bounds_us[b] * 1000));
    text_append(out, "%s_bucket{shard=\"%u\",durability=\"%s\",le=\"+Inf\"} %llu\n", name, i, durabilities[d],
                (unsigned long long)park->count);
    text_append(out, "%s_sum{shard=\"%u\",durability=\"%s\"} %.9f\n", name, i, durabilities[d], (double)park->sum / 1e9);
    text_append(out, "%s_count{shard=\"%u\",durability=\"%s\"} %llu\n", name, i, durabilities[d],
                (unsigned long long)park->count);
  }
  static const struct {
    const char *name;
    double share;
  } quantiles[] = {{"tripline_durable_park_p50_seconds", 0.5}, {"tripline_durable_park_p99_seconds", 0.99}};
  for (unsigned q = 0; q < sizeof quantiles / sizeof *quantiles; q++) {
    head(out, quantiles[q].name, "gauge", "A quantile of the same since start over all shards, within an eighth.");
    for (unsigned d = 0; d < DURABILITY_RELAXED; d++) {
      struct histogram all = {0};
      EACH_SHARD(i) histogram_merge(&all, &snapshot->shards[i].shard.park_ns[d]);
      text_append(out, "%s{durability=\"%s\"} %.9f\n", quantiles[q].name, durabilities[d],
                  (double)histogram_quantile(&all, quantiles[q].share) / 1e9);
    }
  }
  static const unsigned age_bounds_s[] = {1, 2, 5, 10, 20, 30, 45, 60};
  name = "tripline_spans_late_age_seconds";
  head(out, name, "histogram", "From the completion of a trace to a late span of it.");
  EACH_SHARD(i) {
    const struct histogram *ages = &snapshot->shards[i].engine.late_ns;
    for (size_t b = 0; b < sizeof age_bounds_s / sizeof *age_bounds_s; b++)
      text_append(out, "%s_bucket{shard=\"%u\",le=\"%u\"} %llu\n", name, i, age_bounds_s[b],
                  (unsigned long long)histogram_count_at_most(ages, age_bounds_s[b] * 1000000000ull));
    text_append(out, "%s_bucket{shard=\"%u\",le=\"+Inf\"} %llu\n", name, i, (unsigned long long)ages->count);
    text_append(out, "%s_sum{shard=\"%u\"} %.9f\n", name, i, (double)ages->sum / 1e9);
    text_append(out, "%s_count{shard=\"%u\"} %llu\n", name, i, (unsigned long long)ages->count);
  }
  static const unsigned burst_bounds[] = {0, 1, 2, 4, 8, 16, 32, 64};
  name = "tripline_receive_burst_frames";
  head(out, name, "histogram", "Frames a receive burst.");
  EACH_SHARD(i) {
    const uint64_t *sizes = snapshot->shards[i].shard.burst_sizes;
    uint64_t count = 0, sum = 0;
    for (unsigned size = 0, b = 0; size <= SHARD_BURST_FRAMES; size++) {
      count += sizes[size];
      sum += sizes[size] * size;
      if (size != burst_bounds[b]) continue;
      text_append(out, "%s_bucket{shard=\"%u\",le=\"%u\"} %llu\n", name, i, size, (unsigned long long)count);
      b++;
    }
    text_append(out, "%s_bucket{shard=\"%u\",le=\"+Inf\"} %llu\n", name, i, (unsigned long long)count);
    text_append(out, "%s_sum{shard=\"%u\"} %llu\n", name, i, (unsigned long long)sum);
    text_append(out, "%s_count{shard=\"%u\"} %llu\n", name, i, (unsigned long long)count);
  }
}

static void single(struct text_buffer *out, const char *name, const char *type, const char *help, double value) {
  head(out, name, type, help);
  text_append(out, "%s %.17g\n", name, value);
}

static void render_journal(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  const struct appliance_journal *journal = &snapshot->journal;
  uint64_t emitted = 0, published = 0, read = 0;
  EACH_SHARD(i) {
    emitted += snapshot->shards[i].engine.violations_emitted;
    published += snapshot->shards[i].records.published;
    read += snapshot->shards[i].records.read;
  }
  const uint64_t durable = snapshot->violations_durable < emitted ? snapshot->violations_durable : emitted;
  single(out, "tripline_violations_durable_total", "counter", "Violations raised since start that are past fsync.",
         (double)durable);
  const uint64_t not_durable = emitted - durable, shed = journal->violations_discarded;
  head(out, "tripline_violations_shed_total", "counter", "Violations raised that will never be durable.");
  text_append(out, "tripline_violations_shed_total{reason=\"journal_failed\"} %llu\n", (unsigned long long)shed);
  single(out, "tripline_violations_pending", "gauge", "Violations raised and not durable yet.",
         shed < not_durable ? (double)(not_durable - shed) : 0);
  single(out, "tripline_records_pending", "gauge", "Records given to the journal and not durable yet.",
         (double)journal->records_pending);
  single(out, "tripline_records_discarded_total", "counter", "Records given to a journal that had failed.",
         (double)journal->records_discarded);
  single(out, "tripline_records_published_total", "counter", "Records that shards gave to the journal.", (double)published);
  single(out, "tripline_records_taken_total", "counter", "Records that the journal took from the shards.", (double)read);
  single(out, "tripline_journal_durable_lsn", "gauge", "The highest LSN past fsync.", (double)journal->durable_lsn);
  single(out, "tripline_journal_records_total", "counter", "Records made durable.", (double)journal->records);
  single(out, "tripline_journal_record_bytes_total", "counter", "Bytes of records made durable.", (double)journal->record_bytes);
  single(out, "tripline_journal_batches_total", "counter", "Batches written.", (double)journal->batches);
  single(out, "tripline_journal_batch_bytes_total", "counter", "Bytes written, padding included.", (double)journal->batch_bytes);
  single(out, "tripline_journal_flush_seconds_total", "counter", "Time spent in durable writes.",
         (double)journal->flush_ns_sum / 1e9);
  single(out, "tripline_journal_segments_prepared_total", "counter", "Segments prepared.", (double)journal->segments_prepared);
  single(out, "tripline_journal_failed", "gauge", "1 after a write error: nothing is acknowledged as durable.",
         journal->failed != 0);
  single(out, "tripline_journal_out_of_space", "gauge", "1 while the disk has no room for another segment.",
         journal->stalled == -ENOSPC);
  single(out, "tripline_journal_segments", "gauge", "Segments in use.", (double)journal->kept.segments);
  single(out, "tripline_journal_bytes", "gauge", "Their bytes.", (double)journal->kept.bytes);
  single(out, "tripline_journal_oldest_lsn", "gauge", "The oldest LSN that is kept.", (double)journal->kept.oldest_lsn);
  single(out, "tripline_journal_retention_held_segments", "gauge", "Segments over the limits of retention, but still needed.",
         (double)journal->kept.held_segments);
  single(out, "tripline_journal_removed_segments_total", "counter", "Segments that retention removed.",
         (double)journal->kept.removed_segments);
  single(out, "tripline_journal_state_lsn", "gauge", "Recovery reads from here on.", (double)journal->state_lsn);
  single(out, "tripline_journal_state_snapshots_total", "counter", "Snapshots of rule set and remembered ids.",
         (double)journal->snapshots);
  single(out, "tripline_journal_indexed_lsn", "gauge", "Violations up to this LSN can be asked for.",
         (double)journal->index.extent.last_lsn);
  single(out, "tripline_journal_checkpoints_total", "counter", "Signed checkpoints written.", (double)journal->checkpoints);
  single(out, "tripline_journal_signed_lsn", "gauge", "Records up to it are signed.", (double)journal->signed_lsn);
  single(out, "tripline_journal_recovered_records", "gauge", "Records found at start.", (double)journal->recovered_records);
}

static void rule_line(void *context, const char *rule, uint64_t count) {
  text_append(context, "tripline_rule_violations_total{rule=\"%s\"} %llu\n", rule[0] ? rule : "(other)",
              (unsigned long long)count);
}

/* Names of rules need no escapes. */
static void render_rules(struct text_buffer *out, struct violation_store *violations) {
  head(out, "tripline_rule_violations_total", "counter", "Durable violations in the journal, by rule.");
  violation_store_count_by_rule(violations, rule_line, out);
}

static void render_process(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  head(out, "tripline_build_info", "gauge", "What runs, and on which configuration and rules.");
  text_append(out, "tripline_build_info{version=\"%s\",node=\"%s\",config_sha256=\"%s\",rules_sha256=\"%s\"} 1\n",
              snapshot->version, snapshot->node, snapshot->config_sha256, snapshot->rules.sha256);
  single(out, "tripline_start_time_seconds", "gauge", "When it started, Unix time.", (double)snapshot->started_wall_ns / 1e9);
  single(out, "tripline_ready", "gauge", "1 when it takes traffic.", snapshot->ready);
  single(out, "tripline_log_lines_suppressed_total", "counter", "Log lines not written because there were too many.",
         (double)snapshot->logs_suppressed);
}

static void render_tls(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  head(out, "tripline_tls_handshakes_failed_total", "counter", "TLS handshakes that failed, by reason.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < TLS_FAILURES; r++)
    line(out, "tripline_tls_handshakes_failed_total", i, "reason", tls_failure_name(r),
         snapshot->shards[i].tls.handshakes_failed[r]);
  head(out, "tripline_tls_connections_ended_total", "counter", "TLS connections that ended, by reason.");
  EACH_SHARD(i)
  for (unsigned r = 0; r < TLS_ENDS; r++)
    line(out, "tripline_tls_connections_ended_total", i, "reason", tls_end_name(r), snapshot->shards[i].tls.ended[r]);
  if (snapshot->certificate_count == 0) return;
  head(out, "tripline_tls_certificate_expiry_time_seconds", "gauge", "When a listener's certificate ends, Unix time.");
  for (uint32_t i = 0; i < snapshot->certificate_count; i++)
    text_append(out, "tripline_tls_certificate_expiry_time_seconds{listener=\"%s\"} %lld\n", snapshot->certificates[i].listener,
                (long long)snapshot->certificates[i].not_after_s);
  single(out, "tripline_tls_certificate_reloads_total", "counter", "Times that certificates were read again.",
         (double)snapshot->certificate_reloads);
  single(out, "tripline_tls_certificate_reload_failures_total", "counter", "Of these, times that nothing changed.",
         (double)snapshot->certificate_reload_failures);
  single(out, "tripline_tls_certificate_last_reload_success", "gauge", "1 when the last attempt succeeded.",
         snapshot->last_certificate_reload_succeeded);
}

static void render_ports(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  static const struct shard_family families_of_ports[] = {
      {"tripline_port_missed_frames_total", "counter", "Frames that the port itself lost.",
       offsetof(struct driver_port_counters, missed)},
      {"tripline_port_errors_total", "counter", "Frames that the port received wrong.",
       offsetof(struct driver_port_counters, errors)},
      {"tripline_port_no_buffer_total", "counter", "Frames lost because no buffer was free.",
       offsetof(struct driver_port_counters, no_buffer)},
  };
  for (size_t f = 0; f < sizeof families_of_ports / sizeof *families_of_ports; f++) {
    const struct shard_family *family = &families_of_ports[f];
    head(out, family->name, family->type, family->help);
    for (uint32_t i = 0; i < snapshot->port_count; i++) {
      const char *counters = (const char *)&snapshot->ports[i].counters;
      text_append(out, "%s{port=\"%s\"} %llu\n", family->name, snapshot->ports[i].information.name,
                  (unsigned long long)*(const uint64_t *)(const void *)(counters + family->offset));
    }
  }
}

static void impairment_lines(struct text_buffer *out, const char *port, const char *direction,
                             const struct appliance_impairment *from) {
  const struct {
    const char *fate;
    uint64_t count;
  } fates[] = {{"lost", from->lost},
               {"duplicated", from->duplicated},
               {"reordered", from->reordered},
               {"no_room", from->no_room},
               {"passed_on", from->passed_on}};
  for (size_t i = 0; i < sizeof fates / sizeof *fates; i++)
    text_append(out, "tripline_impaired_frames_total{port=\"%s\",direction=\"%s\",fate=\"%s\"} %llu\n", port, direction,
                fates[i].fate, (unsigned long long)fates[i].count);
}

/* Only where the configuration asks for it. */
static void render_impairment(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  bool headed = false;
  for (uint32_t i = 0; i < snapshot->port_count; i++) {
    const struct appliance_port *port = &snapshot->ports[i];
    if (!port->impaired) continue;
    if (!headed) head(out, "tripline_impaired_frames_total", "counter", "Frames of an impaired port, by what was done to them.");
    headed = true;
    impairment_lines(out, port->information.name, "received", &port->received);
    impairment_lines(out, port->information.name, "sent", &port->sent);
  }
}

char *metrics_render(const struct appliance *appliance, const struct appliance_snapshot *snapshot, size_t *length) {
  struct text_buffer out = {0};
  render_process(&out, snapshot);
  render_ports(&out, snapshot);
  render_impairment(&out, snapshot);
  render_families(&out, snapshot);
  render_gauges(&out, snapshot);
  render_labelled(&out, snapshot);
  render_tls(&out, snapshot);
  metrics_render_pressure(&out, snapshot);
  metrics_render_blackbox(&out, snapshot);
  render_histograms(&out, snapshot);
  render_journal(&out, snapshot);
  metrics_render_cursors(&out, appliance, &snapshot->journal);
  render_rules(&out, appliance->violations_as_they_are(appliance->context));
  metrics_render_recovery(&out, &snapshot->journal.recovery);
  metrics_render_index(&out, &snapshot->journal.index);
  metrics_render_rule_set(&out, &snapshot->rules);
  metrics_render_rule_matches(&out, appliance);
  if (out.failed) {
    free(out.text);
    return NULL;
  }
  *length = out.length;
  return out.text;
}
