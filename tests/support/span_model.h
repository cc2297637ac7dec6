#pragma once
/* The model's spans as Zipkin v2 JSON and as a Jaeger datagram, as plain senders write them; texts of the model need no escapes,
 * times are cut to microseconds. */
#include "otlp_model.h"

/* The service is the resource's first attribute. With a seed the order of members and the spelling of numbers vary. */
void model_encode_zipkin(const struct model_resource *resource, unsigned *seed, struct model_bytes *out);
void model_encode_jaeger(const struct model_resource *resource, struct model_bytes *out);
