#!/bin/sh
# Makes .env from .env.example, with a random value for each password and token that is empty there. An .env that is
# there stays as it is.
set -eu
cd "$(dirname "$0")/.."

if [ -e .env ]; then
  echo ".env is there already; remove it first to have a new one (the database keeps its old password)." >&2
  exit 1
fi

random() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# Nobody else may read it, not even while it is being written.
umask 077
while IFS= read -r line; do
  case $line in
    [A-Z]*=) printf '%s%s\n' "$line" "$(random)" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <.env.example >.env
echo ".env is made; its passwords and tokens are random."
