"""The Linux kernel's TCP against ours where it hurts: a flood of SYNs, a wire that loses and reorders, and connections that fall
silent.

The kernel's end is a tap whose frames this program carries to the appliance's veth and back, or does not.

usage: test_kernel_tcp.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own.
"""
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import appliance_process  # noqa: E402
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
OWN, PORT, INTERFACE, TAP = "10.86.0.2", 8080, "trip0", "wire0"
CONFIG = """shards: {count: 1}
tcp: {keep_alive_idle: 1s, keep_alive_interval: 1s, keep_alive_count: 2, idle_timeout: 30s}
webhooks: {sources: [{name: orders, kind: json, acknowledge: received}]}
"""
HALF_OPEN_MAX = 4096
CLIENTS = 60


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def link_address(interface):
    # Not by /sys, which still shows the namespace that this one was made from.
    link = subprocess.run(["ip", "-o", "link", "show", interface], check=True, capture_output=True, text=True).stdout.split()
    return bytes.fromhex(link[link.index("link/ether") + 1].replace(":", ""))


def syn_frame(own_mac, peer_mac, numbers):
    """From a host that does not exist."""
    source = bytes([10, 87, numbers.randrange(256), numbers.randrange(1, 255)])
    destination = socket.inet_aton(OWN)
    options = b"\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02\x08\x0a" + struct.pack(">II", numbers.randrange(1 << 32), 0)
    tcp = struct.pack(">HHIIBBHHH", numbers.randrange(1024, 65536), PORT, numbers.randrange(1 << 32), 0, 5 + len(options) // 4 << 4,
                      2, 65535, 0, 0) + options
    total = checksum(source + destination + struct.pack(">HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack(">H", total) + tcp[18:]
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + source + destination
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return own_mac + peer_mac + b"\x08\x00" + header + tcp


class Wire:
    """Carries frames between the tap, which gets the host's address, and the veth."""

    def __init__(self):
        self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tap, 0x400454CA, struct.pack("16sH22x", TAP.encode(), 0x1002))  # TUNSETIFF, IFF_TAP | IFF_NO_PI
        self.veth = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.veth.bind((INTERFACE, 0))
        self.veth.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.veth.setblocking(False)
        subprocess.run(["ip", "address", "flush", "dev", INTERFACE], check=True)
        subprocess.run(["ip", "address", "add", "10.86.0.1/24", "dev", TAP], check=True)
        subprocess.run(["ip", "link", "set", TAP, "up"], check=True)
        self.numbers, self.loss, self.jitter, self.lost, self.carried = random.Random(3), 0.0, 0.0, 0, 0
        self.later, self.own_mac, self.ending = [], None, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ending:
            wait = max(0.0, self.later[0][0] - time.monotonic()) if self.later else 0.05
            for ready in select.select([self.tap, self.veth], [], [], min(wait, 0.05))[0]:
                self.take(ready is self.veth)
            while self.later and self.later[0][0] <= time.monotonic():
                self.put(*heapq.heappop(self.later)[2:])

    def take(self, from_veth):
        for _ in range(64):
            try:
                if from_veth:
                    frame, sender = self.veth.recvfrom(2048)
                    if sender[2] == socket.PACKET_OUTGOING:
                        continue
                    self.own_mac = frame[6:12]
                else:
                    frame = os.read(self.tap, 2048)
            except BlockingIOError:
                return
            self.carried += 1
            if self.numbers.random() < self.loss:
                self.lost += 1
            elif self.jitter:
                due = time.monotonic() + self.numbers.random() * self.jitter
                heapq.heappush(self.later, (due, self.carried, from_veth, frame))
            else:
                self.put(from_veth, frame)

    def put(self, to_tap, frame):
        try:
            if to_tap:
                os.write(self.tap, frame)
            else:
                self.veth.send(frame)
        except OSError:
            self.lost += 1  # No room: as on any wire.

    def end(self):
        self.ending = True
        self.thread.join()


def post(body, timeout=20):
    """A connection of its own; the status line."""
    with socket.create_connection((OWN, PORT), timeout) as connection:
        connection.sendall(b"POST /webhook/orders HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: application/json\r\n"
                           b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
        return connection.recv(12)


def flood(wire, stop, sent):
    numbers = random.Random(1)
    peer_mac = link_address(TAP)
    frames = [syn_frame(wire.own_mac, peer_mac, numbers) for _ in range(2 * HALF_OPEN_MAX)]
    while not stop.is_set():
        for frame in frames[sent[0] % len(frames):][:64]:
            wire.veth.send(frame)
        sent[0] += 64
        time.sleep(0.002)


def test_new_clients_connect_in_a_flood(wire):
    stop, sent = threading.Event(), [0]
    attacker = threading.Thread(target=flood, args=(wire, stop, sent))
    attacker.start()
    try:
        wait_for("cookies", lambda: metric("tripline_tcp_cookies_sent_total") > 0, 60)
        accepted = metric("tripline_tcp_cookies_accepted_total")
        for number in range(CLIENTS):
            expect("answer in the flood", post(b'{"n": %d}' % number), b"HTTP/1.1 202")
    finally:
        stop.set()
        attacker.join()
    expect_true("clients came by cookies", metric("tripline_tcp_cookies_accepted_total") - accepted >= CLIENTS * 9 // 10)
    expect_true("half-open connections keep their bound",
                metric("tripline_tcp_connections") <= HALF_OPEN_MAX + CLIENTS)


def test_a_bad_wire(wire):
    """The kernel's segments to us are lost and come out of order: what we tell by SACK is what it sends again by."""
    early, lost = metric("tripline_tcp_out_of_order_segments_total"), wire.lost
    body = b'{"text": "' + bytes(random.Random(2).choices(b"abcdefgh", k=600000)) + b'"}'
    wire.loss, wire.jitter = 0.03, 0.005
    for _ in range(5):
        expect("answer over a bad wire", post(body, 60), b"HTTP/1.1 202")
    wire.loss, wire.jitter = 0.0, 0.0
    expect_true("frames were lost", wire.lost - lost > 20)
    expect_true("segments came early", metric("tripline_tcp_out_of_order_segments_total") - early > 100)


def sack_of(connection):
    """Whether the kernel heard SACK permitted, and timestamps."""
    options = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5]
    return bool(options & 2), bool(options & 1)


def test_silent_connections_are_asked(wire):
    with socket.create_connection((OWN, PORT), 10) as connection:
        expect("SACK and timestamps", sack_of(connection), (True, True))
        asked = metric("tripline_tcp_keep_alives_sent_total")
        wait_for("two questions", lambda: metric("tripline_tcp_keep_alives_sent_total") >= asked + 2, 10)
        connection.sendall(b"POST /webhook/orders HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        expect("answer after the questions", connection.recv(12), b"HTTP/1.1 202")
        # And a peer that is gone without a word.
        time.sleep(0.3)
        given_up = metric("tripline_tcp_keep_alive_timed_out_total")
        wire.loss = 1.0
        wait_for("the end", lambda: metric("tripline_tcp_keep_alive_timed_out_total") == given_up + 1, 15)
        wire.loss = 0.0


def main():
    enter_namespace("TRIPLINE_KERNEL_TCP")
    if not os.path.exists("/dev/net/tun"):
        print("there are no taps here: skipped")
        sys.exit(77)
    with Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG):
        wire = Wire()
        try:
            test_silent_connections_are_asked(wire)
            test_a_bad_wire(wire)
            test_new_clients_connect_in_a_flood(wire)
        finally:
            wire.end()
    print(f"{appliance_process.checks} checks passed")


if __name__ == "__main__":
    main()
