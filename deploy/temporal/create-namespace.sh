#!/bin/sh
# Makes the namespace and the search attributes of runs, where they are not there; safe to repeat. Runs in
# temporalio/admin-tools, against the server at TEMPORAL_ADDRESS.
set -eu
: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}"
# Closed workflows can be looked at for so long. Artifacts, reports and what a run cost do not depend on it.
retention=${NAMESPACE_RETENTION:-30d}

# A server that has just begun to listen is not ready for everything; a namespace takes seconds to be known everywhere.
patiently() {
  tries=60
  until "$@"; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ]; then
      echo "gave up: $*" >&2
      exit 1
    fi
    sleep 2
  done
}

make_namespace() {
  temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$retention"
}

# Where all are there already, the command says so and ends well.
make_search_attributes() {
  temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
    --name AstroflowRun --type Keyword \
    --name AstroflowStage --type Keyword \
    --name AstroflowModel --type Keyword \
    --name AstroAttention --type Bool
}

patiently temporal operator cluster health
patiently make_namespace
patiently make_search_attributes
echo "Namespace $TEMPORAL_NAMESPACE is ready."
