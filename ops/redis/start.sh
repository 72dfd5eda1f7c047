#!/bin/sh
# Start Redis with the password of $REDIS_PASSWORD, or of the file $REDIS_PASSWORD_FILE. It reaches Redis on standard
# input and stands in no argument. Options are passed on to redis-server.
set -eu

if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then REDIS_PASSWORD=$(cat "$REDIS_PASSWORD_FILE"); fi

case ${REDIS_PASSWORD:?must be set} in
  # The password also stands in a URL, and here in a quoted line.
  *[!A-Za-z0-9._~-]*) echo "REDIS_PASSWORD may hold letters, digits and . _ ~ - only" >&2; exit 64 ;;
esac

exec redis-server "${REDIS_CONF:-/usr/local/etc/redis/redis.conf}" "$@" - <<CONFIGURATION
requirepass "$REDIS_PASSWORD"
CONFIGURATION
