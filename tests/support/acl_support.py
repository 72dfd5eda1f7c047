"""A Redis with the users of ops/redis/users.acl, and what each of them was refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from tests_support import RedisServer, new_redis, redis_binary

OPS = Path(__file__).parents[2] / "ops" / "redis"
ROLES = ("app", "worker", "watcher", "flower", "autoscaler", "operator")


def make_users(folder: Path, *, prefix: str) -> Path:
    """The file that acl.sh makes; the passwords are in the folder ``passwords`` beside it."""
    passwords = folder / "passwords"
    passwords.mkdir(exist_ok=True)
    made = subprocess.run(
        ["sh", str(OPS / "acl.sh"), str(passwords)],
        env={"PATH": "/usr/bin:/bin", "RESYNC_KEY_PREFIX": prefix},
        capture_output=True,
        check=True,
        timeout=60,
    )
    path = folder / "users.acl"
    path.write_bytes(made.stdout)
    return path


class RoleRedis:
    """A server with a user for each role; its own URL is that of the user ``admin``."""

    def __init__(self, folder: Path, *, prefix: str = "resync:troubleshoot:") -> None:
        users = make_users(folder, prefix=prefix)
        self.passwords = {path.name: path.read_text("utf-8") for path in (folder / "passwords").iterdir()}
        self.server: RedisServer = new_redis(config=f"aclfile {users}", user="admin", tls=True)
        self.server.password = self.passwords["admin"]

    def url(self, role: str) -> str:
        """How the processes of a role reach it."""
        return self.server.url.replace(f"admin:{self.server.password}@", f"{role}:{self.passwords[role]}@")

    def client(self, role: str) -> redis.Redis:
        """A client of a role."""
        parts = urlsplit(self.server.plain_url)
        return redis.Redis(port=parts.port or 0, username=role, password=self.passwords[role], decode_responses=True)

    def forget_refused(self) -> None:
        """From now on counts what is refused."""
        with self.client("admin") as client:
            client.execute_command("ACL LOG", "RESET")

    def refused(self) -> list[str]:
        """User, command, key or channel of what was refused."""
        with self.client("admin") as client:
            entries: list[Any] = client.execute_command("ACL LOG", 128)
        rows = [
            entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True)) for entry in entries
        ]
        return sorted({f"{row['username']}: {row['reason']} {row['object']} ({row['context']})" for row in rows})


def skip_without_selectors() -> None:
    """Redis 6 has no users with read-only keys."""
    binary = redis_binary()
    if binary is not None and b" v=6." in subprocess.run([binary, "--version"], capture_output=True, check=True).stdout:
        pytest.skip("Redis 6 has no rights by read and write")
