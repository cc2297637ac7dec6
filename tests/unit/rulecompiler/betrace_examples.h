#pragma once
/* The conditions of the example rules in the public repository betrace-hq/betrace (examples/rules), each on a trace with the
 * facts of its example_violation and, of many, on one with what that lacks. `violates` is by the documented meaning: when false,
 * nothing; always false or never true, a violation. Eleven of the examples are no violations by it, though their files call them
 * so: those are said. */

static const struct {
  const char *expression, *trace;
  unsigned violates;
} examples[] = {
    /* What features of the language are documented with. */
    {"when { payment.charge_card.where(amount > 1000) } always { payment.fraud_check }", "payment.charge_card amount=5000", 1},
    {"when { payment.charge_card.where(amount > 1000) } always { payment.fraud_check }", "payment.charge_card amount=1000", 0},
    {"when { payment.charge_card.where(amount > 1000) } always { payment.fraud_check }",
     "payment.charge_card amount=5000; payment.fraud_check", 0},
    {"when { payment.charge_card.where(amount > 1000).where(currency == USD) } always { payment.fraud_check }",
     "payment.charge_card amount=5000 currency=EUR; payment.charge_card amount=5 currency=USD", 0},
    {"when { payment.charge_card.where(amount > 1000) and payment.charge_card.where(currency == USD) } always { "
     "payment.fraud_check }",
     "payment.charge_card amount=5000 currency=EUR; payment.charge_card amount=5 currency=USD", 1},
    {"when { database.query.where(\"data.contains_pii\" == true) } always { auth.check }",
     "database.query data.contains_pii=true", 1},
    {"when { checkout-service.where(total > 10) } always { audit }", "checkout-service total=11", 1},
    {"when { api.request } never { api.request.where(not verified) }", "api.request verified=true", 0},
    {"when { api.request } never { api.request.where(not verified) }", "api.request", 1},
    {"when { count(http.request) != count(http.response) } always { alert }", "http.request; http.response", 0},
    /* ai-agent-safety */
    {"when { agent.plan.created and agent.plan.executed } always { agent.action.where(goal_deviation_score > 0.3) }",
     "agent.plan.created; agent.plan.executed; agent.action goal_deviation_score=0.7", 0}, /* said to be one */
    {"when { agent.plan.created and agent.plan.executed } always { agent.action.where(goal_deviation_score > 0.3) }",
     "agent.plan.created; agent.plan.executed; agent.action goal_deviation_score=0.2", 1},
    {"when { agent.instruction_received } always { agent.instruction_source.where(authorized == false) }",
     "agent.instruction_received; agent.instruction_source authorized=false", 0}, /* said to be one */
    {"when { agent.tool_use.where(tool_requires_approval == true) } never { human.approval_granted }",
     "agent.tool_use tool=shell_exec tool_requires_approval=true; agent.action_executed status=blocked", 0}, /* said to be one */
    {"when { agent.delegation } always { agent.delegate.where(approved == false) }",
     "agent.delegation approved=false; agent.delegate delegate=external", 1},
    {"when { medical.diagnosis } never { source_citation }", "medical.diagnosis confidence=0.85; clinical.recommendation",
     0}, /* said */
    {"when { factual_claim.where(confidence < 0.7) } never { uncertainty_disclosure }",
     "factual_claim confidence=0.55; response_generated disclosure=false", 0}, /* said to be one */
    {"when { financial.advice } never { data_source_verification }", "financial.advice data_verified=false",
     0}, /* said to be one */
    {"when { hiring.decision } always { statistical_analysis.where(bias_detected == true) }",
     "hiring.decision decision=rejected; statistical_analysis bias_detected=true", 0}, /* said to be one */
    {"when { unauthorized_access_attempt.where(actor_type == ai_agent) } always { security_alert }",
     "unauthorized_access_attempt actor_type=ai_agent", 1},
    {"when { oversight.evasion_attempt } always { security_alert }", "oversight.evasion_attempt success=false", 1},
    {"when { network.scan.where(source == ai_agent) } always { security_alert }", "network.scan source=ai_agent", 1},
    {"when { query.biological_synthesis.where(hazard_level == high) } always { security_alert }",
     "query.biological_synthesis hazard_level=high", 1},
    /* reliability-sre */
    {"when { http.response.where(status >= 500) } always { error.logged }", "http.response status=500", 1},
    {"when { http.response.where(status >= 500) } always { error.logged }", "http.response status=500; error.logged", 0},
    {"when { database.query.where(duration_ms > 1000) } always { performance_alert }", "database.query duration_ms=5000", 1},
    {"when { count(http.retry) > 3 } always { alert }",
     "http.retry attempt=1; http.retry attempt=2; http.retry attempt=3; http.retry attempt=4; http.retry attempt=5", 1},
    {"when { count(http.retry) > 3 } always { alert }", "http.retry; http.retry; http.retry", 0},
    {"when { count(http.request) != count(http.response) } always { alert }",
     "http.request; http.request; http.request; http.response; http.response", 1},
    {"when { circuit_breaker.opened } always { alert }", "circuit_breaker.opened failure_count=5", 1},
    {"when { count(cache.miss) > 10 } always { cache_warming_alert }", "cache.miss key=a; cache.miss key=a",
     0}, /* said to be one */
    {"when { trace.incomplete.where(expected_span_count > actual_span_count) } always { observability_alert }",
     "trace.incomplete expected_span_count=5 actual_span_count=3", 1},
    {"when { trace.incomplete.where(expected_span_count > actual_span_count) } always { observability_alert }",
     "trace.incomplete expected_span_count=3 actual_span_count=3", 0},
    {"when { rate_limit.exceeded } always { alert }", "rate_limit.exceeded limit=100 actual=150", 1},
    {"when { memory.usage.where(growth_rate_mb_per_sec > 10) } always { memory_alert }",
     "memory.usage growth_rate_mb_per_sec=12.5", 1},
    {"when { lock.acquired.where(lock_type == exclusive) } always { lock.timeout }",
     "lock.acquired lock_type=exclusive; lock.timeout wait_time_ms=5000", 0}, /* said to be one */
    {"when { queue.depth.where(depth > max_capacity) } always { capacity_alert }", "queue.depth depth=10000 max_capacity=5000",
     1},
    {"when { api.request } always { api.validate_key }", "api.request method=GET", 1},
    {"when { api.request.where(endpoint matches \"/api/v[0-9]+/admin/.*\") } always { auth.check_admin }",
     "api.request endpoint=/api/v1/admin/users", 1},
    {"when { api.request.where(endpoint matches \"/api/v[0-9]+/admin/.*\") } always { auth.check_admin }",
     "api.request endpoint=/api/v1/users", 0},
    {"when { database.connection_acquire.where(wait_time_ms > 1000) } always { connection_pool_alert }",
     "database.connection_acquire wait_time_ms=5000", 1},
    {"when { service.failure.where(failure_count > 1) } always { dependency.failure }",
     "service.failure service=payment; dependency.failure; dependency.failure", 0}, /* said to be one */
    {"when { operation.latency.where(duration_ms > 500) } always { sla_alert }", "operation.latency duration_ms=750", 1},
    {"when { cross_region.request.where(latency_ms > 200) } always { latency_alert }", "cross_region.request latency_ms=500", 1},
    /* compliance-evidence */
    {"when { database.query.where(data.contains_pii == true) } always { auth.check }", "database.query data.contains_pii=true",
     1},
    {"when { pii.access } always { audit.log }", "pii.access user_id=user123", 1},
    {"when { phi.access } always { auth.user_identified.where(user_id_present == true) }",
     "phi.access; auth.user_identified user_id_present=false", 1},
    {"when { phi.access } always { audit.log.where(log_type == hipaa_audit) }", "phi.access", 1},
    {"when { phi.access } always { audit.log.where(log_type == hipaa_audit) }", "phi.access; audit.log log_type=hipaa_audit", 0},
    {"when { phi.transmission } always { encryption.applied.where(encrypted == true) }", "phi.transmission encrypted=false", 1},
    {"when { database.write.where(data.sensitive == true) } always { encryption.at_rest.where(enabled == true) }",
     "database.write data.sensitive=true; encryption.at_rest enabled=false", 1},
    {"when { deployment.production } always { change.approval.where(approver_verified == true) }", "deployment.production", 1},
    {"when { user.provision } always { approval.granted.where(approver_verified == true) }", "user.provision role=admin", 1},
    {"when { security.event } always { audit.log }", "security.event event_type=privilege_escalation", 1},
    {"when { cardholder_data.access } always { auth.check.where(authorized == true) }", "cardholder_data.access user_role=viewer",
     1},
    {"when { cardholder_data.access } always { audit.log.where(log_type == pci_audit) }", "cardholder_data.access operation=read",
     1},
    {"when { personal_data.processing } always { security.measures.where(encryption_enabled == true) }",
     "personal_data.processing; security.measures encryption_enabled=false", 1},
    {"when { automated_decision.where(legal_effect == true) } always { human_review.available }",
     "automated_decision legal_effect=true; human_review.available available=false", 0}, /* said to be one */
    {"when { user.registration } always { formal_approval.where(documented == true) }",
     "user.registration; formal_approval documented=false", 1},
    {"when { compliance.evidence } always { signature.verified.where(valid == true) }",
     "compliance.evidence control=SOC2_CC6_1; signature.verified valid=false", 1},
};
