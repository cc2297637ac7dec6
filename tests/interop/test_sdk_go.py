"""The OpenTelemetry SDK for Go: otlptracehttp and otlptracegrpc, gzip on and off.

usage: test_sdk_go.py TRIPLINED TRIPLINE SOURCE COMMAND... Runs in a network namespace of its own; `make interop`.
"""
import sys

import sdk_scenarios
from appliance_process import enter_namespace

enter_namespace("TRIPLINE_SDK_GO")
sdk_scenarios.run(sdk_scenarios.Peer("Go", sys.argv[4:], ("http/protobuf", "grpc"), partial_log=r"partial success: .*3 spans rejected"),
                  *sys.argv[1:4])
