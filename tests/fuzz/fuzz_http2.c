/* The same operations as fuzz_http.c on connections that begin with the HTTP/2 preface. */
#define FUZZ_HTTP2
#include "fuzz_http.c"
