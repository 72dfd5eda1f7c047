"""URLs of Redis Sentinels: the one Redis that each stands for, and the Sentinels who know where it is."""

from __future__ import annotations

from orchestrator.sentinel import describe_sentinel, parse_sentinel

WHOLE = (
    "rediss+sentinel://app:p%40ss@s1,s2:26380,[::1]:5/My_Jobs/3"
    "?ssl_ca_certs=/ca.pem&sentinel_username=asks&sentinel_password=a%2Fb%20c"
)


def test_all_of_a_url_is_read() -> None:
    """The credentials are those of Redis, the parameters those of the Sentinels; TLS is for both."""
    host, single, sentinels = parse_sentinel(WHOLE)
    assert single == f"rediss://app:p%40ss@{host}:6379/3?ssl_ca_certs=%2Fca.pem"
    assert sentinels.name == "My_Jobs"
    assert sentinels.urls == tuple(
        f"rediss://asks:a%2Fb%20c@{address}/0?ssl_ca_certs=%2Fca.pem" for address in ("s1:26379", "s2:26380", "[::1]:5")
    )


def test_the_least_that_a_url_may_say() -> None:
    """A host and a name."""
    host, single, sentinels = parse_sentinel("redis+sentinel://h/jobs")
    assert single == f"redis://{host}:6379/0"
    assert (sentinels.name, sentinels.urls) == ("jobs", ("redis://h:26379/0",))


def test_one_name_at_other_sentinels_is_another_primary() -> None:
    """As a process may use two installations."""
    hosts = {parse_sentinel(f"redis+sentinel://{at}/jobs")[0] for at in ("a", "b", "a:1")}
    assert len(hosts) == 3
    assert all(host.startswith("jobs.") for host in hosts)


def test_no_password_is_shown() -> None:
    """Neither that of Redis nor that of the Sentinels."""
    assert describe_sentinel(WHOLE) == "rediss+sentinel://s1,s2:26380,[::1]:5/My_Jobs/3"
