#!/bin/sh
# Starts the embedded default, sends the sample traffic and stays up until interrupted.
set -eu
build=$1
"$build/triplined" &
daemon=$!
trap 'kill $daemon 2>/dev/null; wait $daemon; exit 0' INT TERM
until [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9464/readyz)" = 200 ]; do
  kill -0 $daemon 2>/dev/null || exit 1
  sleep 0.2
done
config/samples/send.sh
echo "The traces are judged when no span of theirs has come for 3 s. Then: $build/tripline violations list"
wait $daemon
