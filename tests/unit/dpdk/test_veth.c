/* The pair is made in a network namespace of the test's own and looked at through ioctls and /proc. */
#include "port_test.h"
#include "veth.h"
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>

static const struct veth_config pair = {
    .host_name = "trip0", .appliance_name = "trip0p", .host_ipv4 = "10.86.0.1/24", .mtu = 9000, .queues = 4};

static int query(const char *name, unsigned long request, struct ifreq *value) {
  const int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
  snprintf(value->ifr_name, sizeof value->ifr_name, "%.15s", name);
  const int result = ioctl(descriptor, request, value) == 0 ? 0 : -errno;
  close(descriptor);
  return result;
}

static unsigned ethtool_value(const char *name, uint32_t command) {
  struct ethtool_value value = {.cmd = command};
  struct ifreq request = {.ifr_data = (void *)&value};
  assert_int_equal(query(name, SIOCETHTOOL, &request), 0);
  return value.data;
}

static void expect_setting(const char *format, const char *name, const char *wanted) {
  char path[128], text[16] = "";
  snprintf(path, sizeof path, format, name);
  FILE *file = fopen(path, "r");
  if (!file && errno == ENOENT) return; /* no IPv6 here */
  assert_non_null(file);
  assert_non_null(fgets(text, sizeof text, file));
  fclose(file);
  assert_string_equal(text, wanted);
}

static void create(const struct veth_config *config, uint8_t mac[6]) {
  const char *step = NULL;
  const int result = veth_create(config, mac, &step);
  if (result) fail_msg("%s: %s", step, strerror(-result));
}

static void a_pair_is_as_configured(void **state) {
  (void)state;
  uint8_t mac[6] = {0};
  create(&pair, mac);
  struct ifreq value = {0};
  for (int i = 0; i < 2; i++) {
    const char *name = i ? "trip0p" : "trip0";
    assert_int_equal(query(name, SIOCGIFMTU, &value), 0);
    assert_int_equal(value.ifr_mtu, 9000);
    assert_int_equal(query(name, SIOCGIFFLAGS, &value), 0);
    assert_int_equal(value.ifr_flags & (IFF_UP | IFF_RUNNING), IFF_UP | IFF_RUNNING);
  }
  assert_int_equal(query("trip0p", SIOCGIFHWADDR, &value), 0);
  assert_memory_equal(value.ifr_hwaddr.sa_data, mac, 6);

  assert_int_equal(query("trip0", SIOCGIFADDR, &value), 0);
  assert_int_equal(((struct sockaddr_in *)&value.ifr_addr)->sin_addr.s_addr, inet_addr("10.86.0.1"));
  assert_int_equal(query("trip0", SIOCGIFNETMASK, &value), 0);
  assert_int_equal(((struct sockaddr_in *)&value.ifr_addr)->sin_addr.s_addr, inet_addr("255.255.255.0"));
  assert_int_equal(query("trip0", SIOCGIFBRDADDR, &value), 0);
  assert_int_equal(((struct sockaddr_in *)&value.ifr_addr)->sin_addr.s_addr, inet_addr("10.86.0.255"));
  assert_int_equal(query("trip0p", SIOCGIFADDR, &value), -EADDRNOTAVAIL);

  expect_setting("/proc/sys/net/ipv6/conf/%s/disable_ipv6", "trip0p", "1\n");
  expect_setting("/proc/sys/net/ipv6/conf/%s/disable_ipv6", "trip0", "0\n");
  expect_setting("/proc/sys/net/ipv4/conf/%s/rp_filter", "trip0p", "1\n");
  expect_setting("/proc/sys/net/ipv4/conf/%s/arp_ignore", "trip0p", "8\n");
  expect_setting("/proc/sys/net/ipv4/conf/%s/forwarding", "trip0p", "0\n");
}

static void no_super_frame_can_be_made(void **state) {
  (void)state;
  uint8_t mac[6];
  create(&pair, mac);
  assert_int_equal(ethtool_value("trip0", ETHTOOL_GTSO), 0);
  assert_int_equal(ethtool_value("trip0", ETHTOOL_GGSO), 0);
  assert_int_equal(ethtool_value("trip0", ETHTOOL_GTXCSUM), 1);
  assert_int_equal(ethtool_value("trip0p", ETHTOOL_GTSO), 1); /* the appliance end is left as it is */
  struct veth_config complete = pair;
  complete.complete_checksums = true;
  create(&complete, mac);
  assert_int_equal(ethtool_value("trip0", ETHTOOL_GTSO), 0);
  assert_int_equal(ethtool_value("trip0", ETHTOOL_GTXCSUM), 0);
}

static void leftovers_are_taken_over(void **state) {
  (void)state;
  uint8_t mac[6];
  create(&pair, mac);
  const unsigned before = if_nametoindex("trip0");
  create(&pair, mac);
  assert_int_not_equal(if_nametoindex("trip0"), before);
  /* A pair of other names that holds the appliance end's name. */
  struct veth_config other = pair;
  other.host_name = "elsewhere";
  create(&other, mac);
  assert_int_equal(if_nametoindex("trip0"), 0); /* its peer went with it */
  create(&pair, mac);
  assert_int_equal(if_nametoindex("elsewhere"), 0);
}

static void other_interfaces_are_not_touched(void **state) {
  (void)state;
  uint8_t mac[6];
  const char *step = NULL;
  struct veth_config wrong = pair;
  wrong.host_name = "lo";
  assert_int_equal(veth_create(&wrong, mac, &step), -EEXIST);
  assert_string_equal(step, "take over what has the host end's name");
  wrong = pair;
  wrong.appliance_name = "lo";
  assert_int_equal(veth_create(&wrong, mac, &step), -EEXIST);
  assert_string_equal(step, "take over what has the appliance end's name");
  assert_int_equal(veth_remove("lo"), -EEXIST);
  assert_int_not_equal(if_nametoindex("lo"), 0);
}

static void bad_configurations_are_refused(void **state) {
  (void)state;
  const struct veth_config bad[] = {
      {"", "b", "10.0.0.1/24", NULL, 1500, 1, false},
      {"a/b", "b", "10.0.0.1/24", NULL, 1500, 1, false},
      {"a", "..", "10.0.0.1/24", NULL, 1500, 1, false},
      {"sixteen-letters-", "b", "10.0.0.1/24", NULL, 1500, 1, false},
      {"same", "same", "10.0.0.1/24", NULL, 1500, 1, false},
      {"a", "b", "10.0.0.1", NULL, 1500, 1, false},
      {"a", "b", "10.0.0.1/33", NULL, 1500, 1, false},
      {"a", "b", "10.0.0.1/", NULL, 1500, 1, false},
      {"a", "b", "10.0.0.256/24", NULL, 1500, 1, false},
      {"a", "b", "10.0.0.1/24x", NULL, 1500, 1, false},
      {"a", "b", "1000.1000.1000.1000/24", NULL, 1500, 1, false},
      {"a", "b", "10.0.0.1/24", NULL, 1500, 0, false},
      {"a", "b", "10.0.0.1/24", "fd86::1", 1500, 1, false},
      {"a", "b", "10.0.0.1/24", "fd86::1/129", 1500, 1, false},
      {"a", "b", "10.0.0.1/24", "10.0.0.1/24", 1500, 1, false},
  };
  uint8_t mac[6];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if (veth_create(&bad[i], mac, NULL) != -EINVAL) fail_msg("entry %zu was taken", i);
  /* The kernel's own refusal leaves nothing behind. */
  const char *step = NULL;
  const struct veth_config tiny = {"a", "b", "10.0.0.1/24", NULL, 10, 1, false};
  assert_int_equal(veth_create(&tiny, mac, &step), -EINVAL);
  assert_string_equal(step, "make the veth pair");
  assert_int_equal(if_nametoindex("a"), 0);
}

static void removal_takes_both_ends(void **state) {
  (void)state;
  uint8_t mac[6];
  create(&pair, mac);
  assert_int_equal(veth_receive_drops("trip0p"), 0);
  assert_int_equal(veth_remove("trip0"), 0);
  assert_int_equal(if_nametoindex("trip0p"), 0);
  assert_int_equal(veth_remove("trip0"), -ENODEV);
  assert_int_equal(veth_receive_drops("trip0p"), -ENODEV);
}

int main(void) {
  enter_network_namespace();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pair_is_as_configured),        cmocka_unit_test(no_super_frame_can_be_made),
      cmocka_unit_test(leftovers_are_taken_over),       cmocka_unit_test(other_interfaces_are_not_touched),
      cmocka_unit_test(bad_configurations_are_refused), cmocka_unit_test(removal_takes_both_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
