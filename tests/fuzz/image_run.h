#pragma once
/* A sound image on an engine: events of every kind, their digests, time that passes. Whatever the image, it ends well. */
#include "image.h"

/* Nothing of it is left for the next. */
void image_run(const struct rule_image *image, uint64_t seed);
