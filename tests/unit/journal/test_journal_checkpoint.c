/* Checkpoints sign the chain: with a key that is not the forger's, no forgery of what was signed passes. */
#include "checkpoint_audit.h"
#include "cmocka_test.h"
#include "journal_rig.h"
#include "journal_scan.h"
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_1 "journal-0000000000000001.seg"
#define BLOCK JOURNAL_BLOCK_BYTES

static char directory[] = "/tmp/tripline-checkpoint-XXXXXX";
static char private_path[64], public_path[64], secret_path[64], other_path[64];
static struct journal_io *io;
static struct journal_rig rig;

static void write_text(const char *path, const char *text) {
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(file >= 0);
  assert_int_equal(write(file, text, strlen(text)), strlen(text));
  close(file);
}

static int make_keys(void **state) {
  (void)state;
  EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  if (!pair || !mkdtemp(directory)) return -1;
  snprintf(private_path, sizeof private_path, "%s/private.pem", directory);
  snprintf(public_path, sizeof public_path, "%s/public.pem", directory);
  snprintf(secret_path, sizeof secret_path, "%s/secret", directory);
  snprintf(other_path, sizeof other_path, "%s/other", directory);
  FILE *private = fopen(private_path, "w"), *public = fopen(public_path, "w");
  const bool good = private && public && PEM_write_PrivateKey(private, pair, NULL, NULL, 0, NULL, NULL) == 1 &&
                    PEM_write_PUBKEY(public, pair) == 1;
  if (private) fclose(private);
  if (public) fclose(public);
  chmod(private_path, 0600);
  EVP_PKEY_free(pair);
  write_text(secret_path, "0123456789abcdef\n");
  write_text(other_path, "fedcba9876543210\n");
  return good ? 0 : -1;
}

static int remove_keys(void **state) {
  (void)state;
  const char *paths[] = {private_path, public_path, secret_path, other_path};
  for (unsigned i = 0; i < 4; i++) unlink(paths[i]);
  return rmdir(directory);
}

static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 5, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

static struct checkpoint_key *load(const char *id, const char *path, bool signing) {
  char error[256] = "";
  struct checkpoint_key *key = checkpoint_key_load(id, path, signing, error, sizeof error);
  if (!key) fail_msg("%s", error);
  return key;
}

static void expect_refused(const char *id, const char *path, bool signing, const char *why) {
  char error[256] = "";
  assert_null(checkpoint_key_load(id, path, signing, error, sizeof error));
  if (!strstr(error, why)) fail_msg("%s", error);
}

static struct checkpoint_record checkpoint_of_now(const struct checkpoint_key *key) {
  struct checkpoint_record made = {
      .header = {.type = RECORD_CHECKPOINT, .shard = RECORD_SHARD_CONTROL, .bytes = sizeof made, .wall_ns = 12345}};
  assert_true(journal_chain_mark(rig.journal, &made.lsn, made.chain));
  assert_int_equal(made.lsn, journal_durable_lsn(rig.journal));
  assert_int_equal(checkpoint_sign(key, &made), 0);
  return made;
}

static void append_record(const struct checkpoint_record *record) {
  memcpy(record_ring_reserve(rig.config.rings[0], sizeof *record), record, sizeof *record);
  record_ring_publish(rig.config.rings[0]);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
}

static void append_checkpoint(const struct checkpoint_key *key) {
  const struct checkpoint_record made = checkpoint_of_now(key);
  append_record(&made);
}

/* What was left unsigned can be signed before anything else is written. */
static void test_the_chain_is_known_after_recovery(void **state) {
  (void)state;
  uint64_t before_lsn, after_lsn;
  uint8_t before[JOURNAL_CHAIN_BYTES], after[JOURNAL_CHAIN_BYTES];
  assert_false(journal_chain_mark(rig.journal, &before_lsn, before));
  rig_append(&rig, 7, 300);
  assert_true(journal_chain_mark(rig.journal, &before_lsn, before));
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_true(journal_chain_mark(rig.journal, &after_lsn, after));
  assert_int_equal(after_lsn, before_lsn);
  assert_memory_equal(after, before, sizeof after);
}

static void on_record(void *audit, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  (void)segment, (void)offset;
  checkpoint_audit_record(audit, lsn, record);
}

static void on_batch(void *audit, uint64_t last_lsn, const uint8_t *chain) { checkpoint_audit_batch(audit, last_lsn, chain); }

static struct checkpoint_report audit_with(struct checkpoint_key *key, uint64_t *damages) {
  struct checkpoint_report report;
  struct journal_scan scan;
  struct checkpoint_audit *audit = checkpoint_audit_create(&key, key ? 1 : 0);
  const struct journal_scan_handler handler = {.context = audit, .record = on_record, .batch = on_batch};
  assert_int_equal(journal_scan(io, &handler, &scan), 0);
  assert_true(checkpoint_audit_result(audit, &report));
  checkpoint_audit_free(audit);
  *damages = scan.damages;
  return report;
}

static void test_both_kinds_sign_and_verify(void **state) {
  (void)state;
  const char *const pairs[2][2] = {{private_path, public_path}, {secret_path, secret_path}};
  for (unsigned kind = 0; kind < 2; kind++) {
    struct checkpoint_key *signing = load("k1", pairs[kind][0], true), *verifying = load("k1", pairs[kind][1], false);
    struct checkpoint_record record = {.header = {.type = RECORD_CHECKPOINT, .bytes = sizeof record, .wall_ns = 1}, .lsn = 9};
    assert_int_equal(checkpoint_sign(signing, &record), 0);
    assert_true(checkpoint_verify(verifying, &record));
    uint8_t *bytes = (uint8_t *)&record;
    /* Type, shard and length are the frame's; everything else is signed. */
    for (size_t at = offsetof(struct checkpoint_record, header.wall_ns); at < sizeof record; at++) {
      bytes[at] ^= 1;
      if (checkpoint_verify(verifying, &record)) fail_msg("kind %u: byte %zu is not signed", kind, at);
      bytes[at] ^= 1;
    }
    checkpoint_key_free(signing);
    checkpoint_key_free(verifying);
  }
}

static void test_keys_that_are_none(void **state) {
  (void)state;
  expect_refused("k1", "/nowhere", true, "cannot be read");
  expect_refused("", secret_path, true, "1 to 32");
  expect_refused("123456789012345678901234567890123", secret_path, true, "1 to 32");
  expect_refused("k1", public_path, true, "others than its owner");
  chmod(public_path, 0600);
  expect_refused("k1", public_path, true, "no private Ed25519 key");
  chmod(public_path, 0644);
  char short_path[96];
  snprintf(short_path, sizeof short_path, "%s/short", directory);
  write_text(short_path, "0123456789abcde\n");
  expect_refused("k1", short_path, true, "neither a PEM key nor a secret");
  write_text(short_path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  expect_refused("k1", short_path, true, "no private Ed25519 key");
  unlink(short_path);
}

static void test_a_signed_journal(void **state) {
  (void)state;
  uint64_t damages;
  struct checkpoint_key *signing = load("k1", private_path, true), *public = load("k1", public_path, false);
  struct checkpoint_key *secret = load("k2", secret_path, true), *other = load("k2", other_path, false);
  rig_append(&rig, 3, 0);
  append_checkpoint(signing);
  for (unsigned i = 0; i < 40; i++) rig_append(&rig, 1, 3000); /* into the next segment */
  append_checkpoint(secret);                                   /* another key from here on */
  rig_append(&rig, 2, 0);
  const uint64_t second = journal_durable_lsn(rig.journal) - 3;
  rig_close(&rig);
  struct checkpoint_report report = audit_with(public, &damages);
  assert_int_equal(damages, 0);
  assert_int_equal(report.checkpoints, 2);
  assert_int_equal(report.verified, 1);
  assert_int_equal(report.unknown_keys, 1);
  assert_int_equal(report.signed_lsn, 3);
  assert_int_equal(report.wrong, 0);
  report = audit_with(secret, &damages);
  assert_int_equal(report.signed_lsn, second);
  assert_int_equal(report.signed_wall_ns, 12345);
  report = audit_with(other, &damages); /* says it is k2, and is not */
  assert_int_equal(report.wrong, 1);
  assert_int_equal(report.first_wrong_lsn, second + 1);
  assert_non_null(strstr(report.first_wrong, "the signature of key k2"));
  report = audit_with(NULL, &damages);
  assert_int_equal(report.unknown_keys, 2);
  checkpoint_key_free(signing);
  checkpoint_key_free(public);
  checkpoint_key_free(secret);
  checkpoint_key_free(other);
}

/* Someone with the files, but not the key, changes a record and computes all that follows from it anew. */
static void forge(uint32_t block, uint32_t blocks) {
  size_t length;
  uint8_t *bytes = journal_sim_io_bytes(io, SEGMENT_1, &length);
  struct journal_identity identity = {.salt = rig.config.salt};
  uint8_t chain[JOURNAL_CHAIN_BYTES] = {0};
  uint32_t previous = 0;
  memcpy(identity.node_id, rig.config.node_id, sizeof identity.node_id);
  ((struct batch_header *)(void *)(bytes + block * BLOCK))->wall_ns ^= 1;
  for (uint32_t i = 1; i <= blocks; i++) {
    struct batch_header *batch = (void *)(bytes + i * BLOCK);
    batch->previous_checksum = previous;
    memcpy((void *)(uintptr_t)batch_chain_of(batch)->before, chain, sizeof chain);
    batch_seal(batch, journal_segment_seed(&identity, batch->segment), JOURNAL_VERSION);
    previous = batch->checksum;
    journal_chain_next(i == 1 ? bytes : NULL, batch, BLOCK, chain);
  }
}

static void test_a_forgery_is_told(void **state) {
  (void)state;
  uint64_t damages;
  struct checkpoint_key *signing = load("k1", private_path, true), *public = load("k1", public_path, false);
  for (unsigned i = 0; i < 4; i++) rig_append(&rig, 1, 3000);
  append_checkpoint(signing);
  for (unsigned i = 0; i < 3; i++) rig_append(&rig, 1, 3000);
  rig_close(&rig);
  forge(7, 8); /* after what was signed: a key cannot tell that yet */
  struct checkpoint_report report = audit_with(public, &damages);
  assert_int_equal(damages + report.wrong, 0);
  assert_int_equal(report.signed_lsn, 4);
  forge(2, 8);
  report = audit_with(public, &damages);
  assert_int_equal(damages, 0); /* checksums and chain are deceived */
  assert_int_equal(report.wrong, 1);
  assert_int_equal(report.verified, 0);
  assert_int_equal(report.first_wrong_lsn, 5);
  assert_non_null(strstr(report.first_wrong, "up to LSN 4 are not those that were signed"));
  checkpoint_key_free(signing);
  checkpoint_key_free(public);
}

/* Nothing became durable between the two. */
static void test_two_checkpoints_of_one_place(void **state) {
  (void)state;
  uint64_t damages;
  struct checkpoint_key *key = load("k1", private_path, true);
  rig_append(&rig, 3, 0);
  struct checkpoint_record record = checkpoint_of_now(key);
  append_record(&record);
  append_record(&record);
  rig_close(&rig);
  const struct checkpoint_report report = audit_with(key, &damages);
  assert_int_equal(damages, 0);
  assert_int_equal(report.wrong, 0);
  assert_int_equal(report.verified, 2);
  assert_int_equal(report.signed_lsn, 3);
  checkpoint_key_free(key);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_both_kinds_sign_and_verify),
      cmocka_unit_test(test_keys_that_are_none),
      cmocka_unit_test_setup_teardown(test_the_chain_is_known_after_recovery, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_signed_journal, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_two_checkpoints_of_one_place, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_a_forgery_is_told, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
