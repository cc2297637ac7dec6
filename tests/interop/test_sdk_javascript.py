"""The OpenTelemetry SDK for JavaScript: the http/protobuf, http/json and gRPC exporters, gzip on and off, and Zipkin's.

usage: test_sdk_javascript.py TRIPLINED TRIPLINE SOURCE COMMAND... Runs in a network namespace of its own; `make interop`.
"""
import sys

import sdk_scenarios
from appliance_process import enter_namespace

enter_namespace("TRIPLINE_SDK_JAVASCRIPT")
# Its gRPC transport takes every error for final, UNAVAILABLE too.
sdk_scenarios.run(sdk_scenarios.Peer("JavaScript", sys.argv[4:], ("http/protobuf", "http/json", "grpc"),
                                     retries=lambda protocol: protocol != "grpc",
                                     partial_log=r"Partial Success response.*rejectedSpans\W+3", only_counted=[("zipkin", "none")]),
                  *sys.argv[1:4])
