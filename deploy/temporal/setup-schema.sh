#!/bin/sh
# Makes Temporal's two databases and their tables, or brings them up to the version of this image; safe to repeat. Runs
# in temporalio/admin-tools. SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD are read by temporal-sql-tool.
set -eu
: "${SQL_PLUGIN:?}" "${SQL_HOST:?}" "${SQL_PORT:?}" "${SQL_USER:?}" "${SQL_PASSWORD:?}"
schemas=${TEMPORAL_SCHEMAS:-/etc/temporal/schema/postgresql/v12}

setup() {
  temporal-sql-tool --db "$1" create
  # Version 0.0 is the tables of versions alone. A database that is further stays there.
  temporal-sql-tool --db "$1" setup-schema -v 0.0
  temporal-sql-tool --db "$1" update-schema -d "$schemas/$2/versioned"
}

setup temporal temporal
setup temporal_visibility visibility
echo "Temporal's databases are ready."
