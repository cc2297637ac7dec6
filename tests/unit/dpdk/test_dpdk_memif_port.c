/* Two processes, one memif: the child is the client, which sends and expects its frames back with another seed. */
#include "port_test.h"
#include <sys/wait.h>

#define ROUNDS 200
static const uint8_t anyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static char socket_path[64];
static int between[2]; /* server, client: a byte says "refused", one "started" */

static struct dpdk_port *open_end(bool server) {
  struct dpdk_port_config config = {.name = "memif", .kind = DPDK_PORT_MEMIF, .server = server, .mtu = 9000, .queues = 2};
  snprintf(config.path, sizeof config.path, "%s", socket_path);
  char word = 0;
  if (server) assert_int_equal(read(between[0], &word, 1), 1);
  start_dpdk(&config, 1);
  struct dpdk_port *port = open_port(&config);
  if (!server) {
    assert_int_equal(dpdk_port_start(port), -ENOTCONN);
    assert_int_equal(write(between[1], &word, 1), 1);
    assert_int_equal(read(between[1], &word, 1), 1);
  }
  assert_int_equal(dpdk_port_start(port), 0);
  if (server) assert_int_equal(write(between[0], &word, 1), 1);
  const double end = seconds_now() + 20;
  while (!dpdk_port_link_up(port) && seconds_now() < end) usleep(1000);
  return port;
}

static uint32_t length_of(uint32_t round) { return 60 + round * 44; } /* up to 8816 */

static int client(void) {
  struct dpdk_port *port = open_end(false);
  if (!dpdk_port_link_up(port)) {
    fprintf(stderr, "client: no link\n%s", log_text);
    return 3;
  }
  int result = 0;
  for (uint32_t round = 0; round < ROUNDS && result == 0; round++) {
    struct driver_queue *queue = dpdk_port_queue(port, (uint16_t)(round & 1));
    send_pattern(queue, length_of(round), anyone, round);
    queue->operations->flush(queue);
    if (!receive_pattern(queue, length_of(round), round + 1000, 10)) result = 4;
  }
  dpdk_port_close(port);
  dpdk_stop();
  return result;
}

static void a_client_gets_its_answers(void **state) {
  (void)state;
  snprintf(socket_path, sizeof socket_path, "/tmp/tripline-memif-%d.sock", (int)getpid());
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, between), 0);
  const pid_t child = fork();
  if (child == 0) _exit(client());
  struct dpdk_port *port = open_end(true);
  if (!dpdk_port_link_up(port)) fail_msg("no link: %s", log_text);
  assert_int_equal(dpdk_port_information(port)->mtu, 9000);
  uint32_t answered = 0;
  for (const double end = seconds_now() + 20; answered < ROUNDS && seconds_now() < end;) {
    struct driver_queue *queue = dpdk_port_queue(port, (uint16_t)(answered & 1));
    struct driver_frame frame;
    if (queue->operations->receive(queue, &frame, 1) == 0) continue;
    assert_int_equal(frame.length, length_of(answered));
    assert_true(is_pattern(frame.bytes, frame.length, answered));
    queue->operations->release(queue, &frame, 1);
    assert_true(send_pattern(queue, length_of(answered), anyone, answered + 1000));
    queue->operations->flush(queue);
    answered++;
  }
  assert_int_equal(answered, ROUNDS);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  dpdk_port_close(port);
  dpdk_stop();
  unlink(socket_path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_client_gets_its_answers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
