#!/usr/bin/env bash
# One search on two machines that share a PostgreSQL database; any number may join, and leave.
#
#     STUDY="postgresql://me@database-host/betanas?study=digits" ./two_machines.sh first     # on the first machine
#     STUDY="postgresql://me@database-host/betanas?study=digits" ./two_machines.sh another   # on each other one
#
# The images must lie on every machine (here they come with scikit-learn); with --data they may lie elsewhere than on the
# first. A machine that dies is noticed and its trials are taken over.
set -euo pipefail
: "${STUDY:?say where the study is: STUDY=postgresql://user@host/database?study=NAME}"

case "${1:?first or another}" in
  first)
    betanas search --data digits --space betanet3 --study "$STUDY" --resolution 16 --budget "${BUDGET:-6s}" \
      --trials "${TRIALS:-24}"
    betanas best "$STUDY"
    ;;
  another)
    betanas join "$STUDY"
    ;;
  *)
    echo "Type first or another, not $1." >&2
    exit 2
    ;;
esac
