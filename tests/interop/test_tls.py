"""TLS by other people's clients: curl, openssl, Python's ssl, gRPC's own library, wrk and h2load. Who may connect and who may not,
certificates that change under load, and the books that balance.

usage: test_tls.py TRIPLINED TRIPLINE SOURCE. Runs in a network namespace of its own; needs python3-grpcio and openssl.
"""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from appliance_process import Appliance, enter_namespace, expect, expect_true, metric, wait_for  # noqa: E402

TRIPLINED, TRIPLINE, SOURCE = (os.path.abspath(path) for path in sys.argv[1:4])
ADDRESS, NAME = "10.86.0.2", "tripline.test"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CONFIG = """rules: {files: [config/rules.d]}
listeners:
  otlp_http: {tls: {certificate: live.pem, key: live.key}}
  otlp_grpc:
    tls: {certificate: pems/server.pem, key: pems/server.key, client_ca: pems/authority.pem, client_names: [collector.test]}
webhooks:
  tls: {certificate: pems/rsa.pem, key: pems/rsa.key}
tls: {handshakes_per_second: 400}
"""
AS_JSON = ["-H", "Content-Type: application/json"]
ORDER = '{"order":{"id":"TLS","amount":5}}'


def request_of(spans):
    return subprocess.run([sys.executable, os.path.join(SOURCE, "perf/make_otlp_request.py"), str(spans)], check=True,
                          capture_output=True).stdout


def curl(port, path, *arguments, trust="pems/authority.pem"):
    """Exit code, HTTP version and status, body."""
    result = subprocess.run(["curl", "-sS", "-m", "20", "--resolve", f"{NAME}:{port}:{ADDRESS}", "--cacert", trust, "-w",
                             "\n%{http_version} %{http_code}", *arguments, f"https://{NAME}:{port}{path}"], check=False,
                            capture_output=True)
    body, status = result.stdout.rsplit(b"\n", 1)
    return result.returncode, status.decode(), body


def use_certificate(name):
    """As an operator does it: each file whole, by a rename."""
    for ending in ("key", "pem"):
        shutil.copy(f"pems/{name}.{ending}", f"new.{ending}")
        os.rename(f"new.{ending}", f"live.{ending}")


def failed(reason):
    return metric("tripline_tls_handshakes_failed_total", reason=reason)


def ended(reason):
    return metric("tripline_tls_connections_ended_total", reason=reason)


def context_of(certificate=None):
    context = ssl.create_default_context(cafile="pems/authority.pem")
    if certificate:
        context.load_cert_chain(f"pems/{certificate}.pem", f"pems/{certificate}.key")
    return context


def connect(port, context=None):
    return (context or context_of()).wrap_socket(socket.create_connection((ADDRESS, port), timeout=20), server_hostname=NAME)


def name_of(connection):
    return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]


def post(connection, body=ORDER, path="/webhook/orders"):
    """One request on a connection that stays; its status."""
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, rest = answer.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"content-length: (\d+)", head.lower()).group(1))
    while len(rest) < length:
        rest += connection.recv(65536)
    return int(head.split()[1])


def test_curl():
    for version, option in (("1.1", "--http1.1"), ("2", "--http2")):
        expect(f"webhook, HTTP/{version}", curl(8080, "/webhook/orders", option, *AS_JSON, "-d", ORDER)[:2], (0, f"{version} 200"))
        expect(f"spans, HTTP/{version}", curl(4318, "/v1/traces", option, *AS_JSON, "-d", "{}")[:2], (0, f"{version} 200"))
    with open("large.json", "w", encoding="utf-8") as file:
        file.write('{"order":{"id":"L","amount":1},"note":"' + "x" * 900000 + '"}')
    for option in ("--http1.1", "--http2"):
        code, status, _ = curl(8080, "/webhook/orders", option, *AS_JSON, "--data-binary", "@large.json")
        expect("a large one", (code, status[-3:]), (0, "200"))
    expect("whom the client does not trust", curl(8080, "/", trust="pems/stranger.pem")[0], 60)
    wait_for("is counted", lambda: failed("peer_alert") == 1)


def test_versions():
    def s_client(*arguments):
        return subprocess.run(["openssl", "s_client", "-connect", f"{ADDRESS}:4318", "-CAfile", "pems/authority.pem", *arguments],
                              check=False, input=b"", capture_output=True)

    old = s_client("-tls1_2")
    expect_true("TLS 1.2 is refused", old.returncode != 0 and b"protocol version" in old.stderr)
    expect("and counted", failed("version"), 1)
    new = s_client("-alpn", "h2,http/1.1", "-brief")
    expect_true(f"TLS 1.3: {new.stderr}", b"Protocol version: TLSv1.3" in new.stderr and b"Verification: OK" in new.stderr)
    ticket = s_client("-alpn", "h2", "-sess_out", "session.pem")
    expect_true("protocol and no ticket", b"ALPN protocol: h2" in ticket.stdout and not os.path.exists("session.pem"))
    none = s_client("-alpn", "spdy/3")
    expect_true("no such protocol", b"no application protocol" in none.stderr)
    expect("is counted", failed("no_protocol"), 1)


def test_plain_text():
    code = subprocess.run(["curl", "-s", "-m", "5", f"http://{ADDRESS}:8080/webhook/orders", *AS_JSON, "-d", ORDER], check=False,
                          capture_output=True).returncode
    expect_true("plain HTTP gets nothing", code in (52, 56))
    expect("and is counted", failed("not_tls"), 1)


def test_mutual():
    def call(*certificate):
        return curl(4317, "/x", "--http2", *AS_JSON, "-d", "{}", *certificate)[:2]

    def of(name):
        return ["--cert", f"pems/{name}.pem", "--key", f"pems/{name}.key"]

    expect("a client of the authority", call(*of("client")), (0, "2 415"))
    for what, arguments, reason in (("no certificate", [], "certificate_missing"), ("another name", of("other"), "certificate_name"),
                                    ("a stranger's", of("unknown"), "certificate")):
        expect(what, (call(*arguments)[0] in (16, 35, 55, 56, 92), failed(reason)), (True, 1))


def grpc_channel(certificate="client"):
    def read(name):
        with open(f"pems/{name}", "rb") as file:
            return file.read()

    credentials = grpc.ssl_channel_credentials(read("authority.pem"), read(certificate + ".key"), read(certificate + ".pem"))
    return grpc.secure_channel(f"{ADDRESS}:4317", credentials,
                               [("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1)])


def test_grpc():
    body, large = request_of(50), request_of(15000)
    spans = metric("tripline_spans_evaluated_total")
    expect_true("a message of many records", 2 << 20 < len(large) < 4 << 20)
    with grpc_channel() as channel:
        stub = channel.unary_unary(EXPORT, request_serializer=None, response_deserializer=None)
        for _ in range(20):
            expect("identity", stub(body, timeout=20), b"")
            expect("gzip", stub(body, timeout=20, compression=grpc.Compression.Gzip), b"")
        expect("large", stub(large, timeout=20), b"")
        futures = [stub.future(body, timeout=30) for _ in range(200)]
        expect("at once", [future.result() for future in futures], [b""] * 200)
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, 240 * 50 + 15000)
    with grpc_channel("unknown") as channel:
        try:
            channel.unary_unary(EXPORT, request_serializer=None, response_deserializer=None)(body, timeout=5)
            sys.exit("a stranger was served")
        except grpc.RpcError as error:
            expect("a stranger", error.code(), grpc.StatusCode.UNAVAILABLE)


def test_ends():
    """close_notify is an end, FIN alone an abort: half a request that is cut off so takes no effect."""
    closed, truncated, aborted = ended("closed"), ended("truncated"), metric("tripline_requests_aborted_total", reason="peer_reset")
    polite = connect(8080)
    expect("on a connection", [post(polite), post(polite)], [200, 200])
    polite.unwrap().close()
    wait_for("closed", lambda: ended("closed") == closed + 1)
    rude = connect(8080)
    rude.sendall(b"POST /webhook/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    wait_for("begun", lambda: metric("tripline_requests_in_progress") == 1)
    rude.close()
    wait_for("truncated", lambda: ended("truncated") == truncated + 1)
    expect("aborted", metric("tripline_requests_aborted_total", reason="peer_reset"), aborted + 1)


def test_load():
    """All that were answered were judged, whoever asked."""
    with open("spans.bin", "wb") as file:
        file.write(request_of(10))
    with open("post.lua", "w", encoding="utf-8") as file:
        file.write("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/x-protobuf'\n"
                   "wrk.body = io.open('spans.bin', 'rb'):read('*a')\n")
    spans = metric("tripline_spans_evaluated_total")
    output = subprocess.run(["h2load", "-n", "20000", "-c", "16", "-m", "10", "-d", "spans.bin", "-H",
                             "content-type: application/x-protobuf", f"https://{ADDRESS}:4318/v1/traces"], check=True,
                            capture_output=True, text=True, timeout=120).stdout
    expect_true(f"h2load:\n{output}", "20000 succeeded, 0 failed" in output and "Application protocol: h2" in output)
    expect("spans judged", metric("tripline_spans_evaluated_total") - spans, 200000)


def test_reload(appliance):
    """New handshakes get the new certificate; those that are open, and what they are doing, notice nothing."""
    before = metric("tripline_responses_total")
    unavailable = metric("tripline_responses_total", status="503")
    old = connect(4318)
    expect("the first certificate", name_of(old), "server")
    output = []
    wrk = threading.Thread(target=lambda: output.append(subprocess.run(
        ["wrk", "-t1", "-c16", "-d6", "-s", "post.lua", f"https://{ADDRESS}:4318/v1/traces"], check=True, capture_output=True,
        text=True).stdout))
    wrk.start()
    time.sleep(1)
    use_certificate("renewed")
    result = appliance.run_cli("config", "reload", "-o", "json")
    expect("exit code of the reload", (result.returncode, result.stderr), (0, b""))
    listeners = {c["listener"]: c for c in json.loads(result.stdout)["certificates"]}
    expect("listeners", sorted(listeners), ["otlp_grpc", "otlp_http", "webhooks"])
    expect("the nearer end", listeners["otlp_http"]["days_left"], 19)
    with connect(4318) as fresh:
        expect("the new certificate", name_of(fresh), "renewed")
    # Again, many times, by signal.
    reloads = metric("tripline_tls_certificate_reloads_total")
    for i in range(10):
        use_certificate("server" if i % 2 else "renewed")
        appliance.process.send_signal(signal.SIGHUP)
        wait_for("reloaded", lambda n=reloads + i + 1: metric("tripline_tls_certificate_reloads_total") == n)
        with connect(4318) as fresh:
            expect("by signal", name_of(fresh), "server" if i % 2 else "renewed")
    # A bad one; the log says so when it has had time for what came before.
    time.sleep(1)
    shutil.copy("pems/rsa.key", "live.key")
    result = appliance.run_cli("config", "reload")
    expect_true(f"a bad one: {result.stderr}", result.returncode == 1 and b"live.key: the key is not the certificate's" in result.stderr)
    os.remove("live.pem")
    result = appliance.run_cli("config", "reload")
    expect_true(f"none: {result.stderr}", result.returncode == 1 and b"live.pem cannot be read" in result.stderr)
    with connect(4318) as fresh:
        expect("the one before", name_of(fresh), "server")
    expect("failures", metric("tripline_tls_certificate_reload_failures_total"), 2)
    expect("the last", metric("tripline_tls_certificate_last_reload_success"), 0)
    expect_true("in the log", "the certificates before stay in force" in appliance.log())
    use_certificate("server")
    expect("good again", appliance.run_cli("config", "reload").returncode, 0)
    expect("the old connection", post(old, "{}", "/v1/traces"), 200)
    old.close()
    wrk.join()
    expect_true(f"wrk saw nothing of it:\n{output[0]}", "Socket errors" not in output[0])
    # On a machine that does more than this the journal may fall behind; then that is the answer.
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output[0])
    unavailable = metric("tripline_responses_total", status="503") - unavailable
    expect_true(f"only overload is refused:\n{output[0]}", 0 <= unavailable - (int(refused.group(1)) if refused else 0) <= 16)
    requests = int(re.search(r"(\d+) requests in", output[0]).group(1))
    answered = metric("tripline_responses_total") - before - 1
    # wrk leaves the last answer of each connection unread.
    expect_true(f"{requests} requests, {answered} answered", requests <= answered <= requests + 16)
    print(f"{requests} requests while the certificate changed 12 times")


def test_handshake_flood():
    """More handshakes than a shard takes a second: they wait for their turn, and those that are open are served meanwhile."""
    opened = connect(8080)
    slowest, answers, stop = [0.0], [0], threading.Event()

    def client():
        while not stop.is_set():
            began = time.monotonic()
            expect("meanwhile", post(opened), 200)
            slowest[0] = max(slowest[0], time.monotonic() - began)
            answers[0] += 1

    thread = threading.Thread(target=client)
    thread.start()
    for _ in range(3):
        output = subprocess.run(["h2load", "-n", "300", "-c", "300", "-d", "spans.bin", "-H", "content-type: application/x-protobuf",
                                 f"https://{ADDRESS}:4318/v1/traces"], check=True, capture_output=True, text=True, timeout=60).stdout
        expect_true(f"all in the end:\n{output}", "300 succeeded, 0 failed" in output)
    stop.set()
    thread.join()
    expect_true("some waited", metric("tripline_tls_handshakes_deferred_total") > 0)
    expect("none is waiting", metric("tripline_tls_handshakes_waiting"), 0)
    expect_true(f"{answers[0]} served meanwhile, the slowest in {slowest[0]:.3f} s", answers[0] > 20 and slowest[0] < 5)
    print(f"900 handshakes: {answers[0]} requests served meanwhile, the slowest in {slowest[0] * 1000:.0f} ms")
    opened.unwrap().close()


def test_books():
    wait_for("all closed", lambda: metric("tripline_tls_connections") == 0 and metric("tripline_http2_connections") == 0)
    begun, done = metric("tripline_tls_handshakes_begun_total"), metric("tripline_tls_handshakes_total")
    expect("begun = done + failed", begun, done + metric("tripline_tls_handshakes_failed_total"))
    expect("done = ended", done, metric("tripline_tls_connections_ended_total"))
    expect("requests = answered + aborted", metric("tripline_requests_total"),
           metric("tripline_responses_total") + metric("tripline_requests_aborted_total"))
    expect("heap bytes that shards allocated", metric("tripline_shard_heap_allocated_bytes_total"), 0)
    expect("memory refused", metric("tripline_tls_memory_refused_total"), 0)
    expect_true("what OpenSSL keeps is little", metric("tripline_tls_memory_bytes") < 1 << 20)


def test_drain(appliance):
    opened = connect(8080)
    expect("before", post(opened), 200)
    began = time.monotonic()
    expect("exit code", appliance.stop(), 0)
    expect_true("within ten seconds", time.monotonic() - began < 10)
    expect("told of the end", opened.recv(100), b"")
    expect_true("close_notify came", opened.unwrap() is not None)


def main():
    appliance = Appliance(TRIPLINED, TRIPLINE, SOURCE, CONFIG)
    subprocess.run([os.path.join(SOURCE, "tests/support/make_certificates.sh"), "pems"], check=True)
    use_certificate("server")
    with appliance:
        test_curl()
        test_versions()
        test_plain_text()
        test_mutual()
        test_grpc()
        test_ends()
        test_load()
        test_reload(appliance)
        test_handshake_flood()
        test_books()
        test_drain(appliance)
    print("TLS: answered and accounted")


enter_namespace("TRIPLINE_TLS_TEST")
main()
