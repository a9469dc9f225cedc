#!/bin/sh
# A quorum of five share nodes on this machine, of which three suffice, signs a zone: from nothing to an answer.
# Run it where example.com.zone is. CONCLAVE names the command; FIRST_PORT and PORT are where nodes and server listen.
set -e
CONCLAVE=${CONCLAVE:-npx conclave}
export CONCLAVE
PORT=${PORT:-5300}
$CONCLAVE hsm init --nodes 5 --threshold 3 --dir quorum --first-port "${FIRST_PORT:-5400}"
quorum/start &
nodes=$!
trap 'kill $nodes $server 2>/dev/null; wait' EXIT
until $CONCLAVE hsm status --hsm quorum/quorum.yaml; do sleep 1; done
$CONCLAVE serve example.com.zone --hsm quorum/quorum.yaml --listen "127.0.0.1@$PORT" &
server=$!
until dig @127.0.0.1 -p "$PORT" example.com SOA +dnssec +norecurse | tee answer | grep 'RRSIG.SOA 15'; do sleep 1; done
