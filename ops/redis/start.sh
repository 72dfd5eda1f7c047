#!/bin/sh
# Start Redis with the password of $REDIS_PASSWORD, which reaches it on standard input: it stands in no argument and
# no file. Options are passed on to redis-server.
set -eu

case ${REDIS_PASSWORD:?must be set} in
  # The password also stands in a URL, and here in a quoted line.
  *[!A-Za-z0-9._~-]*) echo "REDIS_PASSWORD may hold letters, digits and . _ ~ - only" >&2; exit 64 ;;
esac

exec redis-server "${REDIS_CONF:-/usr/local/etc/redis/redis.conf}" "$@" - <<CONFIGURATION
requirepass "$REDIS_PASSWORD"
CONFIGURATION
