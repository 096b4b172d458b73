#!/usr/bin/env bash
# Serves one checkpoint with vLLM in place of the one before: a command for `policy.sampler.publish`.
#   serve-vllm.sh WEIGHTS NAME [more options of "vllm serve"]
# WEIGHTS is a model's folder or a hub's name, NAME what requests will ask for. Ends once NAME is served; run again
# with the same name it changes nothing. The server's log, its process id and a lock lie in VLLM_STATE.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: serve-vllm.sh WEIGHTS NAME [more options of \"vllm serve\"]" >&2
  exit 2
fi
weights=$1 name=$2
shift 2
host=${VLLM_HOST:-127.0.0.1}
port=${VLLM_PORT:-8000}
state=${VLLM_STATE:-${TMPDIR:-/tmp}/astroflow-vllm-$port}
# Loading a large model takes minutes; policy.sampler.publish.timeoutMs bounds the whole command.
patience=${VLLM_START_SECONDS:-840}

mkdir -p "$state"
# One at a time: a retry may begin while the attempt before it still loads.
exec 9>"$state/lock"
flock 9

serves() {
  curl -fsS --max-time 5 "http://$host:$port/v1/models" 2>/dev/null | tr -d ' ' | grep -qF "\"id\":\"$name\""
}

if serves; then
  exit 0
fi

if [ -s "$state/pid" ]; then
  old=$(cat "$state/pid")
  # Its own process group: workers of the engine end with it. The number may be somebody else's by now.
  if ps -o args= -p "$old" 2>/dev/null | grep -q "vllm"; then
    kill -TERM -- "-$old" 2>/dev/null || true
    for _ in $(seq 60); do
      kill -0 -- "-$old" 2>/dev/null || break
      sleep 0.5
    done
    kill -KILL -- "-$old" 2>/dev/null || true
  fi
  rm -f "$state/pid"
fi

# Its own session, without the lock: it outlives this command.
setsid vllm serve "$weights" --served-model-name "$name" --host "$host" --port "$port" "$@" \
  >"$state/vllm.log" 2>&1 </dev/null 9>&- &
server=$!
echo "$server" >"$state/pid"

until serves; do
  if ! kill -0 "$server" 2>/dev/null; then
    echo "vLLM ended before it served $name:" >&2
    tail -n 20 "$state/vllm.log" >&2
    exit 1
  fi
  if [ "$SECONDS" -ge "$patience" ]; then
    echo "vLLM did not serve $name within $patience s:" >&2
    tail -n 20 "$state/vllm.log" >&2
    exit 1
  fi
  sleep 0.5
done
