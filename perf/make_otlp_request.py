"""Writes one OTLP ExportTraceServiceRequest (protobuf) with the given number of spans to standard output."""
import os
import struct
import sys


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def text(number, value):
    return field(number, value.encode())


def attribute(key, value):
    any_value = text(1, value) if isinstance(value, str) else b"\x18" + varint(value)
    return text(1, key) + field(2, any_value)


def span(index):
    start = 1767225600_000000000 + index * 1000
    return (field(1, os.urandom(16)) + field(2, os.urandom(8)) + text(5, "GET /products/{id}") + b"\x30\x02"
            + b"\x39" + struct.pack("<Q", start) + b"\x41" + struct.pack("<Q", start + 12_000_000)
            + field(9, attribute("http.request.method", "GET")) + field(9, attribute("http.response.status_code", 200))
            + field(9, attribute("url.path", "/products/%d" % index)) + field(9, attribute("server.address", "shop.example")))


spans = b"".join(field(2, span(i)) for i in range(int(sys.argv[1])))
resource = field(1, attribute("service.name", "catalogue"))
sys.stdout.buffer.write(field(1, field(1, resource) + field(2, spans)))
