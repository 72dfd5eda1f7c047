"""Job logs: windows around what went wrong, found with few pages, never the whole."""

import asyncio

import pytest

from orchestrator.payloads import JobLogFacts
from workers.sources.tws_status.client import LogPage, log_page
from workers.sources.tws_status.errors import BadQuery, HwaError, NotFound, ServerFailed
from workers.sources.tws_status.joblog import (
    HEAD_LINES,
    MAX_LINE_BYTES,
    MAX_LINES,
    MAX_PAGES,
    PAGE_LINES,
    TAIL_LINES,
    read_job_log,
)


class FakeSession:
    """Serves the lines of a list, and counts its pages."""

    def __init__(
        self, lines: list[str], *, past_end: type[HwaError] | None = None, fail_after: int | None = None
    ) -> None:
        self.lines = lines
        self.pages: list[tuple[int, int]] = []
        self._past_end = past_end
        self._fail_after = fail_after

    async def job_log(self, run_id: str, *, from_line: int, to_line: int) -> LogPage:
        self.pages.append((from_line, to_line))
        if self._fail_after is not None and len(self.pages) > self._fail_after:
            raise ServerFailed
        if self._past_end is not None and from_line > len(self.lines):
            raise self._past_end
        return LogPage(from_line, tuple(self.lines[from_line - 1 : to_line]))


def read(session: FakeSession) -> JobLogFacts:
    """Read the fake's log."""
    return asyncio.run(read_job_log(session, "r1"))  # type: ignore[arg-type]


def numbered(count: int, **at: str) -> list[str]:
    """Lines of no interest, no two alike, with other text at some (``line_7="..."``)."""
    lines = [plain(number) for number in range(1, count + 1)]
    for name, text in at.items():
        lines[int(name.removeprefix("line_")) - 1] = text
    return lines


def plain(number: int) -> str:
    """A line of no interest that differs in more than its number from the next."""
    return f"linha {number} sem novidade {'abcdefghij'[number % 10]}"


def shown(facts: JobLogFacts) -> dict[int, str]:
    """Line number to text of every window."""
    return {window.from_line + index: line for window in facts.windows for index, line in enumerate(window.lines)}


@pytest.mark.parametrize("past_end", [None, BadQuery, NotFound])
@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 399, 400, 401, 1_000, 3_333, 100_000])
def test_the_end_is_found_whatever_the_length(count: int, past_end: type[HwaError] | None) -> None:
    """The number of lines is right, head and tail are there, whatever a server answers past the end."""
    session = FakeSession(numbered(count), past_end=past_end)
    if count == 0 and past_end is not None:
        return  # then there is no log, which the caller is told
    facts = read(session)
    assert facts.total_lines == count
    lines = shown(facts)
    if count:
        assert {1, min(count, HEAD_LINES), max(1, count - TAIL_LINES + 1), count} <= set(lines)
    assert all(text == plain(number) for number, text in lines.items())
    assert len(session.pages) <= MAX_PAGES
    assert all(last - first < PAGE_LINES for first, last in session.pages)


def test_lines_around_an_abend_are_a_window() -> None:
    """An abend far from both ends is shown with the lines around it, its code and its step."""
    text = "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000 REASON=00000000"
    facts = read(FakeSession(numbered(1_000, line_700=text)))
    lines = shown(facts)
    assert set(range(696, 705)) <= set(lines)
    assert (facts.codes[0], facts.step) == ("S0C7", "STEP030")
    assert [window.kind for window in facts.windows] == ["head", "match", "tail"]
    assert len(lines) < 100


@pytest.mark.parametrize(
    "text",
    [
        "ERROR conta divergente",
        "java.lang.NullPointerException: x",
        "ValueError: invalid literal for int()",
        "ORA-01555: snapshot too old",
        "AWSBHT001E nao iniciou",
        "sh: line 3: /opt/x: No such file or directory",
        "SQLCODE = -911",
        "run.sh: line 48: 20718 Killed",
    ],
)
def test_what_went_wrong_is_found_in_many_words(text: str) -> None:
    """Errors of programs, shells, databases and the scheduler each open a window."""
    assert text in shown(read(FakeSession(numbered(150, line_75=text)))).values()


@pytest.mark.parametrize("text", ["0 errors, 3 warnings", "no errors found", "ERRORS: 0", "RC=0", "sem erros"])
def test_a_count_of_no_errors_is_no_error(text: str) -> None:
    """A line that says that all is well opens no window."""
    assert text not in shown(read(FakeSession(numbered(150, line_75=text)))).values()


def test_a_volume_that_grew_is_kept() -> None:
    """A line that says by how much the input grew is read although it reports no error."""
    text = "VOLUME DE ENTRADA: 5879114 REGISTROS (MEDIA DE 30 DIAS: 4199367, +40%)"
    assert text in shown(read(FakeSession(numbered(150, line_75=text)))).values()


def test_the_abend_wins_when_there_is_too_much() -> None:
    """Among thousands of errors the lines are limited, and the abend is among those kept."""
    lines = [f"ERROR registro {number} rejeitado" for number in range(5_000)]
    lines[4_200] = "IEF450I B S - ABEND=SB37 U0000"
    facts = read(FakeSession(lines))
    assert len(shown(facts)) <= MAX_LINES
    assert "IEF450I B S - ABEND=SB37 U0000" in shown(facts).values()
    assert "of 5000; read: " in facts.note


@pytest.mark.parametrize("character", ["x", "é", "😀", "\x00"])
def test_long_lines_are_cut(character: str) -> None:
    """A line of great length does not fill the envelope, in any alphabet."""
    facts = read(FakeSession([character * 100_000] * 30))
    assert max(len(line.encode()) for line in shown(facts).values()) == MAX_LINE_BYTES


def test_escape_sequences_do_not_reach_a_terminal() -> None:
    """Sequences of a terminal are left out, other control characters of a log are blanks; tabs stay."""
    facts = read(FakeSession(["a\x1b[2J\x07b\tc\x9bd"]))
    assert shown(facts)[1] == "a b\tc"


def test_what_was_read_before_a_failure_is_kept() -> None:
    """When the server gives out after the first page, that page is answered with the reason."""
    facts = read(FakeSession(numbered(5_000, line_7="ABEND S322"), fail_after=1))
    assert facts.note == f"stopped after {PAGE_LINES} lines: server_error"
    assert facts.codes == ("S322",)
    assert facts.total_lines is None


def test_a_first_page_that_fails_is_an_error() -> None:
    """Without any page there is nothing to answer."""
    with pytest.raises(ServerFailed):
        read(FakeSession(numbered(10), fail_after=0))


def test_an_endless_log_is_given_up() -> None:
    """A log that grows as fast as it is read ends at the limit of pages, and says so."""

    class Endless(FakeSession):
        async def job_log(self, run_id: str, *, from_line: int, to_line: int) -> LogPage:
            self.pages.append((from_line, to_line))
            return LogPage(from_line, tuple(f"linha {number}" for number in range(from_line, to_line + 1)))

    session = Endless([])
    facts = read(session)
    assert len(session.pages) == MAX_PAGES
    assert facts.total_lines is None
    assert "end was not reached" in facts.note


class SizedSession(FakeSession):
    """Cuts its pages at a number of characters, as the client does at its bytes."""

    def __init__(self, lines: list[str], size: int, *, ignores_window: bool = False) -> None:
        super().__init__(lines)
        self._size = size
        self._ignores_window = ignores_window

    async def job_log(self, run_id: str, *, from_line: int, to_line: int) -> LogPage:
        self.pages.append((from_line, to_line))
        lines = self.lines if self._ignores_window else self.lines[from_line - 1 : to_line]
        body = "".join(f"{line}\n" for line in lines).encode()
        return log_page(body[: self._size], from_line, to_line, is_cut=len(body) > self._size)


@pytest.mark.parametrize("count", [1, 3, 150, 200, 201, 400, 650])
def test_lines_too_long_for_a_page_are_counted_all_the_same(count: int) -> None:
    """A page that is cut for its size is read on from the line where it was cut: the number of lines stays true."""
    lines = [f"{number} {'x' * (number % 7 * 100)}" for number in range(1, count + 1)]
    lines[-1] = f"{count} JOB STEP1 - ABEND=S0C7"
    session = SizedSession(lines, 20_000)
    facts = read(session)
    assert facts.total_lines == count
    assert all(text == lines[number - 1][:MAX_LINE_BYTES] for number, text in shown(facts).items())
    assert count in shown(facts)
    assert len(session.pages) <= MAX_PAGES


@pytest.mark.parametrize("count", [1, 2, 500])
def test_what_follows_a_line_longer_than_a_page_is_read(count: int) -> None:
    """A single line of great length hides neither the number of lines nor the abend after it."""
    lines = [*numbered(count), "A" * 1_000_000, "IEF450I BATCH001 STEP030 - ABEND=S0C7 U0000", "fim"]
    facts = read(SizedSession(lines, 20_000))
    assert (facts.total_lines, facts.codes[0], facts.step) == (count + 3, "S0C7", "STEP030")
    assert shown(facts)[count + 1] == "A" * MAX_LINE_BYTES


def test_a_server_that_ignores_windows_of_long_lines_is_noticed() -> None:
    """The beginning that comes again is not counted as what follows it, and is not asked for many times."""
    session = SizedSession([f"{number} {'x' * 400}" for number in range(1_000)], 20_000, ignores_window=True)
    facts = read(session)
    assert facts.total_lines is None
    assert "ignores line windows" in facts.note
    assert len(session.pages) == 2


def test_each_line_is_read_in_its_own_encoding() -> None:
    """A line in Latin-1 spoils neither the others nor the size, and a character that was cut is left out."""
    body = "ação\r\n".encode() + "não há\n".encode("latin-1") + b"a\x00\xff\n" + "última".encode()
    assert log_page(body, 1, 9).lines == ("ação", "não há", "a\x00ÿ", "última")
    assert log_page(body[:-5], 1, 9, is_cut=True).lines == ("ação", "não há", "a\x00ÿ")
    assert log_page("ação".encode()[:-2], 1, 9, is_cut=True).lines == ("aç",)


def test_a_short_log_is_shown_whole() -> None:
    """A log that fits is not cut into windows."""
    lines = [plain(number) for number in range(1, MAX_LINES + 1)]
    facts = read(FakeSession(lines))
    assert list(shown(facts).values()) == lines
    assert facts.note == ""


def test_lines_that_repeat_are_folded() -> None:
    """Of 26,000 equal lines the first two and the last are shown, with their number; what differs stays."""
    loop = [f"Waiting for lock of TB_MOVTO, try {number}" for number in range(26_000)]
    facts = read(FakeSession(["begin", *loop[:5_000], "ORA-00060: deadlock detected while waiting for resource"]))
    assert facts.repeats == {2: 5_000}
    assert set(shown(facts)) == {1, 2, 3, 5_001, 5_002}
