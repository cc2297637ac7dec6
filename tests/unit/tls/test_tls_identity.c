/* Certificates as an operator may get them wrong. */
#include "cmocka_test.h"
#include "tls_fixture.h"
#include <string.h>
#include <time.h>

static struct tls_text text_of(const char *text) { return (struct tls_text){.bytes = text, .length = (uint32_t)strlen(text)}; }

static struct tls_identity_source good_source(void) {
  return (struct tls_identity_source){.certificate = fixture_file("server.pem"), .key = fixture_file("server.key")};
}

static void expect_fault(const struct tls_identity_source *source, enum tls_identity_file file, const char *part) {
  struct tls_identity_fault fault;
  assert_null(tls_identity_create(source, &fault));
  assert_int_equal(fault.file, file);
  if (!strstr(fault.what, part)) fail_msg("'%s' does not say '%s'", fault.what, part);
}

static void good_one(void **state) {
  (void)state;
  struct tls_identity_source source = good_source();
  struct tls_identity_fault fault;
  source.client_ca = fixture_file("authority.pem");
  source.client_names[source.client_name_count++] = "collector.test";
  struct tls_identity *identity = tls_identity_create(&source, &fault);
  assert_non_null(identity);
  const int64_t left_s = tls_identity_not_after_s(identity) - (int64_t)time(NULL);
  assert_true(left_s > 29 * 86400 && left_s <= 30 * 86400);
  tls_identity_free(identity);
}

static void rsa_and_chain(void **state) {
  (void)state;
  char chain[16384];
  const struct tls_text own = fixture_file("rsa.pem"), above = fixture_file("authority.pem");
  memcpy(chain, own.bytes, own.length);
  memcpy(chain + own.length, above.bytes, above.length);
  const struct tls_identity_source source = {.certificate = {.bytes = chain, .length = own.length + above.length},
                                             .key = fixture_file("rsa.key")};
  struct tls_identity_fault fault;
  struct tls_identity *identity = tls_identity_create(&source, &fault);
  assert_non_null(identity);
  tls_identity_free(identity);
}

static void tells_its_digest(void **state) {
  (void)state;
  struct tls_identity *one = fixture_identity("server", NULL, NULL), *other = fixture_identity("renewed", NULL, NULL);
  assert_memory_not_equal(tls_identity_sha256(one), tls_identity_sha256(other), 32);
  tls_identity_free(one);
  tls_identity_free(other);
}

static void no_certificate(void **state) {
  (void)state;
  struct tls_identity_source source = good_source();
  source.certificate = text_of("not PEM at all\n");
  expect_fault(&source, TLS_FILE_CERTIFICATE, "no certificate in PEM");
  source.certificate = (struct tls_text){0};
  expect_fault(&source, TLS_FILE_CERTIFICATE, "no certificate in PEM");
  source.certificate = text_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  expect_fault(&source, TLS_FILE_CERTIFICATE, "damaged");
  char cut[8192];
  const struct tls_text whole = fixture_file("server.pem");
  memcpy(cut, whole.bytes, whole.length);
  memcpy(cut + whole.length, whole.bytes, whole.length / 2);
  source.certificate = (struct tls_text){.bytes = cut, .length = whole.length + whole.length / 2};
  expect_fault(&source, TLS_FILE_CERTIFICATE, "damaged");
}

static void chain_too_long(void **state) {
  (void)state;
  static char chain[65536];
  uint32_t length = 0;
  const struct tls_text one = fixture_file("server.pem");
  for (unsigned i = 0; i < 11; i++, length += one.length) memcpy(chain + length, one.bytes, one.length);
  struct tls_identity_source source = good_source();
  source.certificate = (struct tls_text){.bytes = chain, .length = length};
  expect_fault(&source, TLS_FILE_CERTIFICATE, "longer than 10");
}

static void bad_keys(void **state) {
  (void)state;
  struct tls_identity_source source = good_source();
  source.key = fixture_file("renewed.key");
  expect_fault(&source, TLS_FILE_KEY, "not the certificate's");
  source.key = fixture_file("server.pem");
  expect_fault(&source, TLS_FILE_KEY, "no private key");
  source.key = text_of("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgz\n"
                       "-----END ENCRYPTED PRIVATE KEY-----\n");
  expect_fault(&source, TLS_FILE_KEY, "encrypted");
}

static void bad_authorities(void **state) {
  (void)state;
  struct tls_identity_source source = good_source();
  source.client_ca = fixture_file("server.key");
  expect_fault(&source, TLS_FILE_CLIENT_CA, "no certificate in PEM");
}

int main(void) {
  fixture_install();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_one),        cmocka_unit_test(rsa_and_chain),  cmocka_unit_test(tells_its_digest),
      cmocka_unit_test(no_certificate),  cmocka_unit_test(chain_too_long), cmocka_unit_test(bad_keys),
      cmocka_unit_test(bad_authorities),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
