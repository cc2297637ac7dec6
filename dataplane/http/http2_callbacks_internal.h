#pragma once
/* nghttp2's callbacks: from its frames to our streams. */
#include <nghttp2/nghttp2.h>

void http2_callbacks_set(nghttp2_session_callbacks *callbacks);
