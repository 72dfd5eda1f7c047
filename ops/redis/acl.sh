#!/bin/sh
# Make the file of users that Redis reads (aclfile) from users.acl:
#
#   acl.sh FOLDER >/etc/redis/users.acl
#
# FOLDER has the password of each user in a file of the user's name. A file that is missing is made, with a random
# password. RESYNC_KEY_PREFIX and REDIS_DATABASE (0) are those of the processes.
set -eu

folder=${1:?usage: acl.sh FOLDER}
prefix=${RESYNC_KEY_PREFIX:-resync:troubleshoot:}
database=${REDIS_DATABASE:-0}
case $prefix in
  # In a pattern of Redis, these are no letters; the others would end it or be replaced.
  *[*?[\]\\\ \|\&{}]*) echo "RESYNC_KEY_PREFIX may not hold spaces or any of * ? [ ] \\ | & { }" >&2; exit 64 ;;
esac
case $database in
  *[!0-9]*) echo "REDIS_DATABASE must be a number" >&2; exit 64 ;;
esac

umask 077
template=$(dirname "$0")/users.acl
text=$(sed -e '/^#/d' -e '/^$/d' "$template" | awk '/^user/ { if (line) print line; line = $0; next }
  { sub(/^ +/, " "); line = line $0 } END { print line }')
for user in $(printf '%s\n' "$text" | awk '$2 != "default" { print $2 }'); do
  file=$folder/$user
  if [ ! -e "$file" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file"
  fi
  password=$(tr -d '\r\n' <"$file")
  [ -n "$password" ] || { echo "$file is empty" >&2; exit 65; }
  hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
  text=$(printf '%s\n' "$text" | sed -e "s|#{$user}|#$hash|")
done
printf '%s\n' "$text" | sed -e "s|{mq}|{prefix}mq:|g" -e "s|{prefix}|$prefix|g" -e "s|{db}|$database|g"
