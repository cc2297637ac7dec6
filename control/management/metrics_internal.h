#pragma once
/* Inside the metrics: families too many for one file. */
#include "appliance.h"
#include "text_buffer_internal.h"

/* metrics_cursors.c */
void metrics_render_cursors(struct text_buffer *out, const struct appliance *appliance, const struct appliance_journal *journal);
/* metrics_blackbox.c */
void metrics_render_blackbox(struct text_buffer *out, const struct appliance_snapshot *snapshot);
/* metrics_pressure.c */
void metrics_render_pressure(struct text_buffer *out, const struct appliance_snapshot *snapshot);
/* metrics_start.c */
void metrics_render_recovery(struct text_buffer *out, const struct appliance_recovery *recovery);
void metrics_render_index(struct text_buffer *out, const struct appliance_index *index);
/* metrics_rules.c */
void metrics_render_rule_set(struct text_buffer *out, const struct appliance_rules *rules);
void metrics_render_rule_matches(struct text_buffer *out, const struct appliance *appliance);
