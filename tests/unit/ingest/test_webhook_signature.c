/* Signatures against vectors that others published: Standard Webhooks' reference libraries and GitHub's documentation. */
#include "cmocka_test.h"
#include "webhook.h"
#include <string.h>

#define SECOND 1000000000ull
#define REFERENCE_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define REFERENCE_ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define REFERENCE_SECONDS 1614265330ull
#define REFERENCE_BODY "{\"test\": 2432232314}"
#define REFERENCE_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define OTHER_SIGNATURE "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define GITHUB_SECRET "It's a Secret to Everybody"
#define GITHUB_BODY "Hello, World!"
#define GITHUB_DIGEST "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

static struct event_text text(const char *at) { return (struct event_text){at, at ? (uint32_t)strlen(at) : 0}; }

static struct webhook_source source_of(enum webhook_kind kind) {
  return (struct webhook_source){.name = "orders", .kind = kind, .window_ns = 300 * SECOND, .skew_ns = 30 * SECOND};
}

static void add_secret(struct webhook_source *source, const char *secret) {
  assert_int_equal(webhook_secret_prepare(source->kind, secret, (uint32_t)strlen(secret), &source->secrets[source->secret_count]),
                   0);
  source->secret_count++;
}

static struct webhook_headers reference_headers(void) {
  return (struct webhook_headers){
      .signature = text(REFERENCE_SIGNATURE), .id = text(REFERENCE_ID), .timestamp = text("1614265330")};
}

static enum webhook_verdict authenticate_at(const struct webhook_source *source, const struct webhook_headers *headers,
                                            const char *body, uint64_t seconds, uint32_t *secret_index) {
  return webhook_authenticate(source, headers, (const uint8_t *)body, (uint32_t)strlen(body), seconds * SECOND, secret_index);
}

static enum webhook_verdict authenticate(const struct webhook_source *source, const struct webhook_headers *headers,
                                         const char *body) {
  return authenticate_at(source, headers, body, REFERENCE_SECONDS, NULL);
}

static void standard_webhooks_reference_vector_is_genuine(void **state) {
  (void)state;
  struct webhook_source source = source_of(WEBHOOK_STANDARD);
  add_secret(&source, REFERENCE_SECRET);
  add_secret(&source, &REFERENCE_SECRET[6]); /* the prefix is optional */
  const struct webhook_headers headers = reference_headers();
  uint32_t secret = 9;
  assert_int_equal(authenticate_at(&source, &headers, REFERENCE_BODY, REFERENCE_SECONDS, &secret), WEBHOOK_GENUINE);
  assert_int_equal(secret, 0);
  source.secrets[0] = source.secrets[1];
  source.secret_count = 1;
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_GENUINE);
}

static void standard_webhooks_signature_covers_id_timestamp_and_body(void **state) {
  (void)state;
  struct webhook_source source = source_of(WEBHOOK_STANDARD);
  add_secret(&source, REFERENCE_SECRET);
  struct webhook_headers headers = reference_headers();
  assert_int_equal(authenticate(&source, &headers, "{\"test\": 2432232315}"), WEBHOOK_BAD_SIGNATURE);
  headers.id = text("msg_p5jXN8AQM9LWM0D4loKWxJel");
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_SIGNATURE);
  headers = reference_headers();
  headers.timestamp = text("1614265331");
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_SIGNATURE);
}

static void either_secret_of_a_rotation_is_accepted(void **state) {
  (void)state;
  struct webhook_source source = source_of(WEBHOOK_STANDARD);
  add_secret(&source, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
  const struct webhook_headers headers = reference_headers();
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_SIGNATURE);
  add_secret(&source, REFERENCE_SECRET);
  uint32_t secret = 9;
  assert_int_equal(authenticate_at(&source, &headers, REFERENCE_BODY, REFERENCE_SECONDS, &secret), WEBHOOK_GENUINE);
  assert_int_equal(secret, 1);
}

static void signature_lists(void **state) {
  (void)state;
  static const struct {
    const char *signature;
    enum webhook_verdict verdict;
  } cases[] = {
      {OTHER_SIGNATURE " " REFERENCE_SIGNATURE, WEBHOOK_GENUINE},
      {REFERENCE_SIGNATURE " " OTHER_SIGNATURE, WEBHOOK_GENUINE},
      {"v1a,AAAA " REFERENCE_SIGNATURE, WEBHOOK_GENUINE},
      {"v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", WEBHOOK_BAD_SIGNATURE},
      {OTHER_SIGNATURE, WEBHOOK_BAD_SIGNATURE},
      {OTHER_SIGNATURE " " OTHER_SIGNATURE, WEBHOOK_BAD_SIGNATURE},
      {"v1,", WEBHOOK_BAD_SIGNATURE},
      {"v1", WEBHOOK_BAD_SIGNATURE},
      {"", WEBHOOK_BAD_SIGNATURE},
      {" ", WEBHOOK_BAD_SIGNATURE},
      {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", WEBHOOK_BAD_SIGNATURE},
      {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ", WEBHOOK_BAD_SIGNATURE},
      {"v1,g0hM", WEBHOOK_BAD_SIGNATURE},
      {"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", WEBHOOK_BAD_SIGNATURE},
  };
  struct webhook_source source = source_of(WEBHOOK_STANDARD);
  add_secret(&source, REFERENCE_SECRET);
  struct webhook_headers headers = reference_headers();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    headers.signature = text(cases[i].signature);
    if (authenticate(&source, &headers, REFERENCE_BODY) != cases[i].verdict) fail_msg("'%s'", cases[i].signature);
  }
}

static void the_window_has_exact_ends(void **state) {
  (void)state;
  static const struct {
    int64_t late_by;
    enum webhook_verdict verdict;
  } cases[] = {{0, WEBHOOK_GENUINE},    {329, WEBHOOK_GENUINE},  {330, WEBHOOK_GENUINE},  {331, WEBHOOK_TOO_OLD},
               {-329, WEBHOOK_GENUINE}, {-330, WEBHOOK_GENUINE}, {-331, WEBHOOK_TOO_NEW}, {86400, WEBHOOK_TOO_OLD}};
  struct webhook_source source = source_of(WEBHOOK_STANDARD);
  add_secret(&source, REFERENCE_SECRET);
  const struct webhook_headers headers = reference_headers();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const uint64_t now = REFERENCE_SECONDS + (uint64_t)cases[i].late_by;
    assert_int_equal(authenticate_at(&source, &headers, REFERENCE_BODY, now, NULL), cases[i].verdict);
  }
}

static void standard_webhooks_headers_must_be_well_formed(void **state) {
  (void)state;
  static const char *const not_times[] = {"", "-1", "+1614265330", "1614265330.0", "1614265330 ", "soon", "1614265330000000"};
  char long_id[WEBHOOK_ID_BYTES_MAX + 2];
  memset(long_id, 'a', sizeof long_id - 1);
  long_id[sizeof long_id - 1] = '\0';
  struct webhook_source source = source_of(WEBHOOK_STANDARD);
  add_secret(&source, REFERENCE_SECRET);
  struct webhook_headers headers = reference_headers();
  for (size_t i = 0; i < sizeof not_times / sizeof *not_times; i++) {
    headers.timestamp = text(not_times[i]);
    assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_TIMESTAMP);
  }
  headers.timestamp = text("999999999999");
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_TOO_NEW);
  headers.timestamp = text(NULL);
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_TIMESTAMP);
  headers = reference_headers();
  headers.signature = text(NULL);
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_MISSING_SIGNATURE);
  headers = reference_headers();
  headers.id = text(NULL);
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_MISSING_ID);
  headers.id = text("");
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_MISSING_ID);
  headers.id = text("a.b"); /* the dot separates what is signed */
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_ID);
  headers.id = text(long_id);
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_ID);
  headers.id.length = WEBHOOK_ID_BYTES_MAX;
  assert_int_equal(authenticate(&source, &headers, REFERENCE_BODY), WEBHOOK_BAD_SIGNATURE);
}

static void secrets_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const refused[] = {"",     "whsec_",   "whsec_not base64",         "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                                        "AAAA", "AAAAAAAA", "AAAAAAAAAAAAAAAAAAAA====", "=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
  struct webhook_secret secret;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    assert_int_equal(webhook_secret_prepare(WEBHOOK_STANDARD, refused[i], (uint32_t)strlen(refused[i]), &secret), -1);
  assert_int_equal(webhook_secret_prepare(WEBHOOK_GITHUB, "", 0, &secret), -1);
  assert_int_equal(webhook_secret_prepare(WEBHOOK_GITHUB, "x", 1, &secret), 0);
}

static void github_documented_vector_is_genuine(void **state) {
  (void)state;
  static const struct {
    const char *signature;
    enum webhook_verdict verdict;
  } cases[] = {
      {"sha256=" GITHUB_DIGEST, WEBHOOK_GENUINE},
      {"sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17", WEBHOOK_GENUINE},
      {GITHUB_DIGEST, WEBHOOK_BAD_SIGNATURE},
      {"sha1=" GITHUB_DIGEST, WEBHOOK_BAD_SIGNATURE},
      {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1", WEBHOOK_BAD_SIGNATURE},
      {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18", WEBHOOK_BAD_SIGNATURE},
      {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1g", WEBHOOK_BAD_SIGNATURE},
      {"sha256=", WEBHOOK_BAD_SIGNATURE},
      {"", WEBHOOK_BAD_SIGNATURE},
      {NULL, WEBHOOK_MISSING_SIGNATURE},
  };
  struct webhook_source source = source_of(WEBHOOK_GITHUB);
  add_secret(&source, GITHUB_SECRET);
  struct webhook_headers headers = {.id = text("72d3162e-cc78-11e3-81ab-4c9367dc0958")};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    headers.signature = text(cases[i].signature);
    if (authenticate(&source, &headers, GITHUB_BODY) != cases[i].verdict)
      fail_msg("'%s'", cases[i].signature ? cases[i].signature : "absent");
  }
  headers.signature = text("sha256=" GITHUB_DIGEST);
  headers.id = text(NULL);
  assert_int_equal(authenticate(&source, &headers, GITHUB_BODY), WEBHOOK_MISSING_ID);
}

/* RFC 4231 test case 6: a key longer than the block is hashed first. */
static void a_key_longer_than_the_block_is_hashed(void **state) {
  (void)state;
  char key[132];
  memset(key, 0xaa, 131);
  key[131] = '\0';
  struct webhook_source source = source_of(WEBHOOK_JSON);
  add_secret(&source, key);
  const struct webhook_headers headers = {.signature = text("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")};
  assert_int_equal(authenticate(&source, &headers, "Test Using Larger Than Block-Size Key - Hash Key First"), WEBHOOK_GENUINE);
}

static void bearer_tokens(void **state) {
  (void)state;
  static const struct {
    const char *authorization;
    enum webhook_verdict verdict;
  } cases[] = {
      {"Bearer first-token", WEBHOOK_GENUINE},
      {"Bearer second-token", WEBHOOK_GENUINE},
      {"Bearer second-toke", WEBHOOK_BAD_SIGNATURE},
      {"Bearer second-token ", WEBHOOK_BAD_SIGNATURE},
      {"Bearer ", WEBHOOK_BAD_SIGNATURE},
      {"Basic first-token", WEBHOOK_BAD_SIGNATURE},
      {"first-token", WEBHOOK_BAD_SIGNATURE},
      {NULL, WEBHOOK_MISSING_SIGNATURE},
  };
  struct webhook_source source = source_of(WEBHOOK_ALERTMANAGER);
  struct webhook_headers headers = {0};
  assert_int_equal(authenticate(&source, &headers, "{}"), WEBHOOK_UNSIGNED);
  add_secret(&source, "first-token");
  add_secret(&source, "second-token");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    headers.authorization = text(cases[i].authorization);
    if (authenticate(&source, &headers, "{}") != cases[i].verdict)
      fail_msg("'%s'", cases[i].authorization ? cases[i].authorization : "absent");
  }
  /* A signature that is present decides, whatever the token says. */
  headers.authorization = text("Bearer first-token");
  headers.signature = text(GITHUB_DIGEST);
  assert_int_equal(authenticate(&source, &headers, "{}"), WEBHOOK_BAD_SIGNATURE);
}

static void every_verdict_has_a_name(void **state) {
  (void)state;
  for (unsigned i = 0; i < WEBHOOK_VERDICTS; i++) {
    assert_non_null(webhook_verdict_name((enum webhook_verdict)i));
    for (unsigned j = 0; j < i; j++)
      assert_string_not_equal(webhook_verdict_name((enum webhook_verdict)i), webhook_verdict_name((enum webhook_verdict)j));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(standard_webhooks_reference_vector_is_genuine),
      cmocka_unit_test(standard_webhooks_signature_covers_id_timestamp_and_body),
      cmocka_unit_test(either_secret_of_a_rotation_is_accepted),
      cmocka_unit_test(signature_lists),
      cmocka_unit_test(the_window_has_exact_ends),
      cmocka_unit_test(standard_webhooks_headers_must_be_well_formed),
      cmocka_unit_test(secrets_that_are_none_are_refused),
      cmocka_unit_test(github_documented_vector_is_genuine),
      cmocka_unit_test(a_key_longer_than_the_block_is_hashed),
      cmocka_unit_test(bearer_tokens),
      cmocka_unit_test(every_verdict_has_a_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
