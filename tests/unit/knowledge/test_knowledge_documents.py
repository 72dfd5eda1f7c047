"""Files to sections, sections to chunks, chunks to passages."""

from __future__ import annotations

import importlib
import io

import pytest

from workers.knowledge.ranking.passage import PASSAGE_CHARACTERS, grow
from workers.knowledge.reading.chunking import cut_sections, is_listing
from workers.knowledge.reading.documents import Chunk, Section, UnreadableDocument
from workers.knowledge.reading.html import read_html
from workers.knowledge.reading.markdown import read_markdown
from workers.knowledge.reading.outline import is_part
from workers.knowledge.reading.readers import folder_language, read_document, twin_key


def test_markdown_headings_become_a_path() -> None:
    """ATX and setext headings nest; code in fences and front matter are no headings."""
    text = (
        "---\ntitle: x\n---\nintro\n\n# One #\na\n\nTwo\n---\nb\n\n```\n# not a heading\n```\n\n"
        "### `Three` [link](x)\nc\n# Four\nd"
    )
    assert read_markdown(text) == (
        Section((), "intro"),
        Section(("One",), "a"),
        Section(("One", "Two"), "b\n\n```\n# not a heading\n```"),
        Section(("One", "Two", "Three link"), "c"),
        Section(("Four",), "d"),
    )


def test_an_open_fence_does_not_lose_text() -> None:
    """A fence that is never closed keeps what follows it as text."""
    (section,) = read_markdown("# A\n~~~\n# b\nc")
    assert section.text.endswith("# b\nc")


def test_html_is_cut_at_headings_without_menus() -> None:
    """Menus, scripts and styles are left out; lists, tables and preformatted text stay readable."""
    sections = read_html(
        "<html><head><title>Guide</title><script>var x = '<h1>no</h1>';</script><style>p{}</style></head><body>"
        "<nav><a>Menu</a></nav><p>before</p><h1>Link &amp; agent</h1><p>The <b>link</b>\n fails.</p>"
        "<h2>Fix</h2><ul><li>one<li>two</ul><table><tr><th>a</th><td>b</td></tr></table><pre>x\n    y</pre>"
        "<footer>copyright</footer></body></html>"
    )
    assert sections[0] == Section(("Guide",), "before")
    assert sections[1] == Section(("Link & agent",), "The link fails.")
    assert sections[2].headings == ("Link & agent", "Fix")
    assert "- one\n- two" in sections[2].text
    assert "| a | b" in sections[2].text
    assert "x\n    y" in sections[2].text
    assert "copyright" not in sections[2].text


@pytest.mark.parametrize("text", ["<h1>", "<p", "</nav></nav>x", "<h1>a<h2>b</h1>c", "<nav>never closed", "<![CDATA[x"])
def test_broken_html_is_read_without_an_error(text: str) -> None:
    """Broken markup never raises."""
    assert isinstance(read_html(text), tuple)


HOSTILE_PAGES = (
    *(
        part * 200_000
        for part in ("<a ", "<p a='", "<", "</", "<!--", "<!-- >", "<![CDATA[", "<![CDATA[>", "<?", "<!x ")
    ),
    "<p " + "a " * 200_000 + ">",
    "&amp;&#x41;&bogus;&#99999999999;&#xD800;&#0;" * 50_000,
)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", HOSTILE_PAGES, ids=lambda text: text[:12])
def test_hostile_html_is_read_in_bounded_time(text: str) -> None:
    """Tags, comments and sections that never end cost no more than the page's length."""
    sections = read_html(f"<p>before</p>{text}")
    assert sections[0].text.startswith("before")


def test_comments_and_entities_of_html_are_no_text() -> None:
    """A comment is left out, one that never ends is text, and an external entity is never resolved."""
    (section,) = read_html(
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>a<!-- no > -->b &x; &lt;c</p><!--d'
    )
    assert "ab &x; <c" in section.text
    assert section.text.endswith("d")
    assert "no" not in section.text
    assert "root:" not in section.text


@pytest.mark.timeout(30)
def test_hostile_markdown_is_read_in_bounded_time() -> None:
    """Headings of any length and number are read once."""
    for text in ("# a" + " " * 1_000_000 + "b", "#" * 1_000_000, "# " + "[" * 200_000, "# " + "# " * 200_000):
        assert isinstance(read_markdown(text), tuple)
    lines = ("return code" + " " * 10_000 + "x\n") * 20
    assert cut_sections(read_markdown(f"# t\n{lines}"))
    assert read_markdown("# C#\nx\n## Two ##\ny") == (Section(("C#",), "x"), Section(("C#", "Two"), "y"))


def test_a_pdf_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose pages hold more text than a document is an error of that file, and so is one that takes too long."""
    content = make_pdf([["x" * 50] for _ in range(5)])
    monkeypatch.setattr("workers.knowledge.reading.pdf.MAX_TEXT", 120)
    with pytest.raises(ValueError, match="more than 120 characters"):
        read_document("m.pdf", content)
    monkeypatch.setattr("workers.knowledge.reading.pdf.MAX_TEXT", 1_000)
    monkeypatch.setattr("workers.knowledge.reading.pdf.MAX_SECONDS", 0.0)
    with pytest.raises(ValueError, match="take more than 0 s"):
        read_document("m.pdf", content)


def make_pdf(pages: list[list[str]], outline: list[tuple[str, int]] = ()) -> bytes:  # type: ignore[assignment]
    """A PDF with one text line below the other on each page, and bookmarks ``(title, page)``."""
    from pypdf import PdfReader, PdfWriter

    bodies = []
    for lines in pages:
        text = " ".join(f"({line}) Tj 0 -14 Td" for line in lines)
        bodies.append(f"BT /F1 12 Tf 50 750 Td {text} ET".encode())
    count = len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{4 + 2 * n} 0 R' for n in range(count))}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, body in enumerate(bodies):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >>"
            f" /Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body))
    out, offsets = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size, start = len(objects) + 1, len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(out)))
    for title, page in outline:
        writer.add_outline_item(title=title, page_number=page)
    writer.add_metadata({"/Title": "Manual"})
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def test_a_pdf_is_cut_at_its_bookmarks() -> None:
    """Each bookmark is a section from its title to the next one, also within a page and across pages."""
    content = make_pdf(
        [["AWSBHT001E", "Symptom text.", "AWSBHT002E", "Second text"], ["goes on here.", "Index", "alpha, 12"]],
        [("AWSBHT001E", 0), ("AWSBHT002E", 0), ("Index", 1)],
    )
    document = read_document("m.pdf", content)
    assert [section.headings for section in document.sections] == [
        ("Manual", "AWSBHT001E"), ("Manual", "AWSBHT002E"), ("Manual", "Index"),
    ]  # fmt: skip
    assert document.sections[0].text == "Symptom text."
    assert document.sections[1].text.split() == ["Second", "text", "goes", "on", "here."]
    assert document.title == "Manual"


def test_a_pdf_without_bookmarks_is_cut_by_page() -> None:
    """Without bookmarks each page is a section that names its number; the running header is left out."""
    content = make_pdf([[f"Manual {n}", f"Text of page {'abcdef'[n]}.", f"Words {'uvwxyz'[n]}"] for n in range(5)])
    document = read_document("m.pdf", content)
    assert [section.headings[-1] for section in document.sections] == [f"p. {n}" for n in range(1, 6)]
    assert not any("Manual" in section.text for section in document.sections)


def test_a_pdf_fails_alone_whatever_its_parser_raises() -> None:
    """A filter that nobody knows, which pypdf answers with NotImplementedError, ends the file's reading alone."""
    damaged = make_pdf([["one", "page"]]).replace(b"/Length", b"/Filter /NobodysDecode /Length")
    with pytest.raises(UnreadableDocument, match="NotImplementedError"):
        read_document("m.pdf", damaged)


@pytest.mark.parametrize("content", [b"", b"no pdf", b"%PDF-1.4\ngarbage", b"\x00" * 100])
def test_a_damaged_pdf_is_a_value_error(content: bytes) -> None:
    """A file that is no PDF is refused with one kind of error."""
    with pytest.raises(ValueError, match="PDF"):
        read_document("m.pdf", content)


def test_old_encodings_are_read() -> None:
    """UTF-8 with and without a mark, and Latin-1, give the same text."""
    texts = {read_document("a.txt", raw).sections[0].text
             for raw in ("ação".encode(), "ação".encode("utf-8-sig"), "ação".encode("latin-1"))}  # fmt: skip
    assert texts == {"ação"}


def test_the_language_comes_from_the_folder_else_from_the_text() -> None:
    """A folder named after a language decides; translations of a page share a key."""
    assert folder_language("runbooks/pt-BR/x.md") == "pt"
    assert read_document("docs/x.md", b"# T\nwhy does the job not start there").language == "en"
    assert twin_key("pt/a/x.md") == twin_key("en/a/x.md") == "a/x.md"
    assert twin_key("a/x.md") == ""


@pytest.mark.parametrize(
    ("heading", "text", "expected"),
    [
        ("Contents", "anything", True),
        ("Sumário", "anything", True),
        ("Chapter 1", "\n".join(f"Section {n} ........ {n}" for n in range(6)), True),
        ("Chapter 1", "\n".join(f"Section {n}     {n}" for n in range(6)), True),
        ("A", "\n".join(f"alpha, {n}, {n + 3}" for n in range(6)), True),
        ("Links", "\n".join(f"- [page {n}](p{n}.html)" for n in range(6)), True),
        ("Steps", "\n".join(f"{n}. Restart the agent and wait for {n} minutes." for n in range(6)), False),
        ("Table", "| a | 1 |\n| b | 2 |", False),
    ],
)
def test_tables_of_contents_and_indexes_are_recognised(heading: str, text: str, expected: bool) -> None:
    """Listings are told apart from text that happens to hold numbers."""
    assert is_listing(Section((heading,), text)) is expected


def test_headings_and_text_are_masked_before_they_are_stored() -> None:
    """Neither the path of headings nor the text of a passage keeps a secret."""
    (chunk,) = cut_sections([Section(("BATCH001 senha=K4T8ZW2P", "S0C7"), "sqlplus op/hunter2x@DB")])
    assert chunk.headings == ("BATCH001 senha=[REDACTED]", "S0C7")
    assert chunk.text == "sqlplus op/[REDACTED]@DB"
    assert read_document("a.md", b"# S0C7 senha=K4T8ZW2P\n\nx").title == "S0C7 senha=[REDACTED]"


def test_chunks_stay_within_a_section_and_its_size() -> None:
    """A long section is cut at paragraphs, then lines, then words; nothing is lost; listings are left out."""
    long = "\n\n".join(["word " * 60] * 10 + ["x" * 3_000])
    chunks = cut_sections([Section(("A",), "short"), Section(("Index",), "a, 1"), Section(("B",), long)], size=1_000)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(len(chunk.text) <= 1_000 for chunk in chunks)
    assert {chunk.headings for chunk in chunks} == {("A",), ("B",)}
    assert sum(chunk.text.count("word") for chunk in chunks) == 600
    assert sum(chunk.text.count("x") for chunk in chunks) == 3_000


@pytest.mark.parametrize(
    "content",
    [
        "código “S322”".encode(),
        "código “S322”".encode("utf-16"),
        b"\xef\xbb\xbf" + "código “S322”".encode(),
        "código “S322”".encode("cp1252"),
    ],
)
def test_text_is_read_in_the_encodings_of_the_field(content: bytes) -> None:
    """UTF-8 with and without a mark, UTF-16 as PowerShell writes it, and the code page of older files."""
    assert read_document("a.txt", content).sections[0].text == "código “S322”"


def test_any_bytes_are_read_as_text() -> None:
    """No content fails: what is in no known encoding is read byte by byte."""
    assert read_document("a.txt", bytes(range(1, 256))).sections


def test_a_heading_that_is_never_closed_does_not_swallow_the_text() -> None:
    """Broken HTML keeps its words, up to the next heading or the end."""
    sections = read_html("<h1>One<p>first S0CB<h2>Two</h2><p>second<h2>Three <b>third")
    assert [(section.headings, section.text) for section in sections] == [
        ((), "One\n\nfirst S0CB"),
        (("Two",), "second"),
        (("Two",), "Three third"),
    ]


@pytest.mark.parametrize("error", ["DependencyError", "FileNotDecryptedError"])
def test_an_encrypted_pdf_is_told_as_such(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a password, or by AES without the package for it: the file fails alone and the message says why."""
    errors = pytest.importorskip("pypdf.errors")

    def refuse(*_: object) -> None:
        raise getattr(errors, error)("cryptography>=3.1 is required for AES algorithm")

    monkeypatch.setattr("workers.knowledge.reading.pdf._texts", refuse)
    content = io.BytesIO()
    writer = importlib.import_module("pypdf").PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(content)
    with pytest.raises(ValueError, match="encrypted"):
        read_document("a.pdf", content.getvalue())


def test_contents_and_index_of_a_plain_text_are_left_out_and_its_chapters_kept() -> None:
    """A text file has no headings: what is a listing is told by piece, and long paragraphs are few lines."""
    contents = "\n".join(f"{number} Chapter about batches ........ {number + 3}" for number in range(30))
    chapters = "\n\n".join(
        f"Chapter {number}. " + "The agent runs the job and returns its code. " * 20 for number in range(9)
    )
    index = "\n".join(
        f"{letter}bend of jobs, {number}, {number + 9}" for number in range(3) for letter in "abcdefghijklmn"
    )
    chunks = cut_sections([Section((), f"{contents}\n\n{chapters}\n\n{index}")])
    text = "\n".join(chunk.text for chunk in chunks)
    assert text.count("The agent runs") == 180
    assert "........" not in text
    assert "bend of jobs" not in text


def page(*items: tuple[tuple[str, ...], str]) -> list[Chunk]:
    return [Chunk(number, headings, text) for number, (headings, text) in enumerate(items)]


def test_a_passage_grows_over_its_topic_and_not_beyond() -> None:
    """Symptom and solution come together; the next message of the list stays out."""
    chunks = page(
        (("Messages", "AWSBHT001E", "Symptom"), "one"),
        (("Messages", "AWSBHT001E", "Solution"), "two"),
        (("Messages", "AWSBHT002E", "Symptom"), "three"),
    )
    region = grow(chunks, 0)
    assert (region.first, region.last) == (0, 1)
    assert "two" in region.text
    assert "three" not in region.text


def test_a_sibling_with_a_code_of_its_own_is_another_topic() -> None:
    """In a flat list of messages a passage does not run into the next message."""
    chunks = page((("Messages", "AWSBHT001E"), "one"), (("Messages", "AWSBHT002E"), "two"))
    assert grow(chunks, 0).text.endswith("one")


def test_a_passage_keeps_to_its_room_and_says_what_was_cut() -> None:
    """A section beyond the room is cut around the hit, and the cut is counted."""
    chunks = page(*[(("Page", "Long"), f"{number} " + "x" * 1_000) for number in range(8)])
    region = grow(chunks, 4)
    assert region.first <= 4 <= region.last
    assert len(region.text) <= PASSAGE_CHARACTERS + 100
    assert region.cut_characters > 5_000


MANUAL = """# Troubleshooting
## The plan cannot be created - AWSJPL017E
AWSJPL017E The production plan cannot be created.
## Cause and solution:
A scratch of the plan did not end. Run it again.
## Note:
The archived plan is kept.
## The database is locked - AWSJPL018E
## Causa e solução
Unlock it.
## Index
## A
agents
audit files
authorization 12
"""


@pytest.mark.parametrize("markup", ["markdown", "html"])
def test_flat_headings_of_a_manual_put_the_remedy_below_its_message(markup: str) -> None:
    """The next "Cause and solution" belongs to its message; a note is text; the letters of an index are left out."""
    lines = MANUAL.splitlines()
    html = "".join(
        f"<h{line.count('#')}>{line.strip('# ')}</h{line.count('#')}>" if line.startswith("#") else f"<p>{line}</p>"
        for line in lines
    )
    sections = read_markdown(MANUAL) if markup == "markdown" else read_html(html)
    plan, locked = "The plan cannot be created - AWSJPL017E", "The database is locked - AWSJPL018E"
    chunks = cut_sections(sections)
    assert [chunk.headings[1:] for chunk in chunks] == [
        (plan,),
        (plan, "Cause and solution:"),
        (locked, "Causa e solução"),
    ]
    assert "archived plan is kept" in chunks[1].text


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Cause", True), ("Cause and solution:", True), ("System action", True), ("**Operator response**", True),
        ("Explicação", True), ("Resposta do operador", True), ("Causa y solución", True), ("About this task", True),
        ("System", False), ("Causes of a late plan", False), ("Solution Manager jobs", False), ("and", False),
        ("", False),
    ],
)  # fmt: skip
def test_the_parts_of_an_entry_are_known_by_their_headings(heading: str, expected: bool) -> None:
    """Alone or joined, in each language; words beside them make another heading of it."""
    assert is_part(heading) is expected


def test_messages_that_are_listed_as_text_are_sections() -> None:
    """Each has its own remedy; a log that is quoted is no list of messages."""
    text = (
        "Planner messages\n\nAWSJPL001E The plan was not created.\nExplanation\nSee message.\n"
        "Operator response: free some space.\n\nAWSJPL004E The workstation is not the master.\n"
        "System action: none.\n"
    )
    document = read_document("messages.txt", text.encode())
    assert [section.headings for section in document.sections] == [
        (),
        ("AWSJPL001E The plan was not created.",),
        ("AWSJPL004E The workstation is not the master.",),
    ]
    assert "free some space" in document.sections[1].text
    quoted = "# Page\n\nThe log shows\n\nIEF450I JOB ABENDED\nIEC030I B37-04\n\nand ends.\n"
    assert len(read_document("page.md", quoted.encode()).sections) == 1


def test_the_next_section_of_a_manual_is_another_topic() -> None:
    """The sections of a page belong together, those of a manual only as parts of one entry."""
    chunks = [
        Chunk(0, ("Manual", "Slow plan"), "one"),
        Chunk(1, ("Manual", "Slow plan", "Solution"), "two"),
        Chunk(2, ("Manual", "Full disk"), "three"),
    ]
    assert grow(chunks, 0, is_manual=True).text.endswith("two")
    assert grow(chunks, 1, is_manual=True).first == 0
    assert grow(chunks, 0).last == 2
