#include "rule_shape.h"

#define ON_SPANS (1u << SUBJECT_SPAN)
#define ON_WEBHOOKS (1u << SUBJECT_WEBHOOK)
#define ON_ALERTS (1u << SUBJECT_ALERT)
#define INTRINSIC(name, of_sort, where)                                                                                          \
  { .spelling = name, .group = GROUP_INTRINSIC, .sort = of_sort, .subjects = where }
#define ATTRIBUTE(name, of_group, where, attribute)                                                                              \
  { .spelling = name, .group = of_group, .sort = SORT_ANY, .subjects = where, .key = attribute }

#define ELEMENT(name, ...)                                                                                                       \
  { .spelling = name, .group = GROUP_BODY, .subjects = ON_WEBHOOKS, .path = {__VA_ARGS__}, .of_elements = true }
#define EVERY(name, ...)                                                                                                         \
  { .spelling = name, .group = GROUP_BODY, .subjects = ON_WEBHOOKS, .path = {__VA_ARGS__}, .of_elements = true, .every = true }

const struct reference_fact reference_facts[] = {
    [REF_NAME] = INTRINSIC("name", SORT_TEXT, ON_SPANS | ON_WEBHOOKS | ON_ALERTS),
    [REF_SERVICE] = INTRINSIC("service", SORT_TEXT, ON_SPANS | ON_ALERTS),
    [REF_KIND] = INTRINSIC("kind", SORT_KIND, ON_SPANS),
    [REF_STATUS] = INTRINSIC("status", SORT_STATUS, ON_SPANS | ON_ALERTS),
    [REF_DURATION] = INTRINSIC("duration", SORT_DURATION, ON_SPANS),
    [REF_ROOT] = INTRINSIC("root", SORT_BOOLEAN, ON_SPANS),
    [REF_TRACE_ID] = INTRINSIC("trace_id", SORT_HEXADECIMAL, ON_SPANS),
    [REF_SPAN_ID] = INTRINSIC("span_id", SORT_HEXADECIMAL, ON_SPANS),
    [REF_PARENT_ID] = INTRINSIC("parent_id", SORT_HEXADECIMAL, ON_SPANS),
    [REF_START] = INTRINSIC("start", SORT_TIME, ON_SPANS | ON_WEBHOOKS | ON_ALERTS),
    [REF_END] = INTRINSIC("end", SORT_TIME, ON_SPANS),
    [REF_TIME_OF_DAY] = INTRINSIC("time_of_day", SORT_TIME_OF_DAY, ON_SPANS | ON_WEBHOOKS | ON_ALERTS),
    [REF_WEEKDAY] = INTRINSIC("weekday", SORT_WEEKDAY, ON_SPANS | ON_WEBHOOKS | ON_ALERTS),
    ATTRIBUTE("span.a", GROUP_SPAN, ON_SPANS, "a"),
    ATTRIBUTE("span.b", GROUP_SPAN, ON_SPANS, "b"),
    ATTRIBUTE("span.c", GROUP_SPAN, ON_SPANS, "c"),
    ATTRIBUTE("span.flag", GROUP_SPAN, ON_SPANS, "flag"),
    ATTRIBUTE("span.http.status_code", GROUP_SPAN, ON_SPANS, "http.status_code"),
    ATTRIBUTE("span.\"user-id\"", GROUP_SPAN, ON_SPANS, "user-id"),
    ATTRIBUTE("resource.a", GROUP_RESOURCE, ON_SPANS, "a"),
    ATTRIBUTE("resource.http.status_code", GROUP_RESOURCE, ON_SPANS, "http.status_code"),
    ATTRIBUTE("label.a", GROUP_LABEL, ON_ALERTS, "a"),
    ATTRIBUTE("label.b", GROUP_LABEL, ON_ALERTS, "b"),
    ATTRIBUTE("annotation.a", GROUP_ANNOTATION, ON_ALERTS, "a"),
    ATTRIBUTE("annotation.runbook_url", GROUP_ANNOTATION, ON_ALERTS, "runbook_url"),
    {.spelling = "body.a", .group = GROUP_BODY, .subjects = ON_WEBHOOKS, .path = {"a"}},
    {.spelling = "body.b", .group = GROUP_BODY, .subjects = ON_WEBHOOKS, .path = {"b"}},
    {.spelling = "body.order.amount", .group = GROUP_BODY, .subjects = ON_WEBHOOKS, .path = {"order", "amount"}},
    {.spelling = "body.order.\"line-items\".total",
     .group = GROUP_BODY,
     .subjects = ON_WEBHOOKS,
     .path = {"order", "line-items", "total"}},
    {.spelling = "body.\"order.amount\"", .group = GROUP_BODY, .subjects = ON_WEBHOOKS, .path = {"order.amount"}},
    ELEMENT("body.items[0].sku", "items", "[0]", "sku"),
    ELEMENT("body.items[1].price", "items", "[1]", "price"),
    ELEMENT("body.items[1]", "items", "[1]"),
    ELEMENT("body.items", "items"),
    ELEMENT("body.tags[0]", "tags", "[0]"),
    ELEMENT("body.grid[1][0]", "grid", "[1]", "[0]"),
    EVERY("body.items[*].sku", "items", "[*]", "sku"),
    EVERY("body.items[*].price", "items", "[*]", "price"),
    EVERY("body.items[*]", "items", "[*]"),
    EVERY("body.tags[*]", "tags", "[*]"),
    EVERY("body.grid[*][*]", "grid", "[*]", "[*]"),
    EVERY("body.grid[*][0]", "grid", "[*]", "[0]"),
    EVERY("body.grid[0][*]", "grid", "[0]", "[*]"),
};
const unsigned element_references_from = sizeof reference_facts / sizeof reference_facts[0] - 13;
const unsigned reference_count = sizeof reference_facts / sizeof reference_facts[0];
_Static_assert(sizeof reference_facts / sizeof reference_facts[0] <= REFERENCES_MAX, "samples have a value of each");
