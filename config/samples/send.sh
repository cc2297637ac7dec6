#!/bin/sh
# Sends the sample traffic through the kernel's own TCP to an appliance's data ports. Some of it trips rules, some must not.
set -eu
address=${1:-10.86.0.2}
samples=$(dirname "$0")
post() { # path, file
  curl -sS -f -m 10 -o /dev/null -w "%{http_code} $1 <- $(basename "$2")\n" -H 'Content-Type: application/json' --data-binary @"$2" \
    "http://$address$1"
}
post :4318/v1/traces "$samples/traces.json"
post :8080/webhook/orders "$samples/order-large.json"
post :8080/webhook/orders "$samples/order-small.json"
post :8080/webhook/alertmanager "$samples/alerts.json"
