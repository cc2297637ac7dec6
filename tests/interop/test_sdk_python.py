"""The OpenTelemetry SDK for Python over OTLP/HTTP and OTLP/gRPC, gzip on and off.

usage: test_sdk_python.py TRIPLINED TRIPLINE SOURCE COMMAND... Runs in a network namespace of its own; `make interop`.
"""
import sys

import sdk_scenarios
from appliance_process import enter_namespace

enter_namespace("TRIPLINE_SDK_PYTHON")
# Its exporters do not look into the answer of a success.
sdk_scenarios.run(sdk_scenarios.Peer("Python", sys.argv[4:], ("http/protobuf", "grpc")), *sys.argv[1:4])
