"""Variables from files: a folder where a file has the name of a variable, as Docker, Kubernetes and systemd mount it.

The convention is pydantic-settings' ``secrets_dir``, but that a variable which is set twice is an error.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import ConfigurationError
from orchestrator.i18n.message import Message

SECRETS_DIR = "RESYNC_SECRETS_DIR"
MAX_BYTES = 65_536
"""Size of the largest file that is read."""


def read_variables(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables that are set, in the environment or as files of the folder ``RESYNC_SECRETS_DIR``.

    A file has the name of its variable, in capital or small letters; line ends after the value do not belong to it,
    nor does a byte order mark before it.
    Empty variables count as not set.

    Raises ConfigurationError naming variable and file, and never a value.
    """
    folder = _folder(environ)
    variables = {}
    for name in names:
        value = environ.get(name, "")
        path = _file_of(name, folder) if folder is not None else None
        if path is not None:
            content = _content(name, path)
            # Equal: a process was given what its parent had read.
            if value not in ("", content):
                raise ConfigurationError(
                    "{variable} is set, and so is the file {path}: leave out one of them", variable=name, path=str(path)
                )
            value = content
        if value:
            variables[name] = value
    return variables


def _folder(environ: Mapping[str, str]) -> Path | None:
    path = environ.get(SECRETS_DIR, "")
    if not path:
        return None
    try:
        with_names = Path(path)
        next(iter(with_names.iterdir()), None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "{variable}: {problem}",
            variable=SECRETS_DIR,
            problem=Message("the folder {path} cannot be read ({detail})", path=path, detail=_detail(error)),
        ) from None
    return with_names


def _file_of(name: str, folder: Path) -> Path | None:
    paths = [path for path in (folder / name, folder / name.lower()) if path.is_symlink() or path.exists()]
    if len(paths) > 1 and not paths[0].samefile(paths[1]) and _content(name, paths[0]) != _content(name, paths[1]):
        raise _wrong(name, Message("{path} has another value than {other}", path=str(paths[1]), other=str(paths[0])))
    return paths[0] if paths else None


def _content(name: str, path: Path) -> str:
    try:
        # Not a FIFO or a device, which would be waited for.
        if not path.is_file():
            path.stat()
            raise _wrong(name, Message("{path} is no file", path=str(path)))
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(name, Message("{path} cannot be read ({detail})", path=str(path), detail=_detail(error))) from None
    if len(content) > MAX_BYTES:
        raise _wrong(name, Message("{path} has more than {limit} bytes", path=str(path), limit=MAX_BYTES))
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise _wrong(name, Message("{path} is not UTF-8", path=str(path))) from None
    if not text:
        raise _wrong(name, Message("{path} is empty", path=str(path)))
    if "\0" in text:
        raise _wrong(name, Message("{path} is not text", path=str(path)))
    return text


def _wrong(name: str, problem: Message) -> ConfigurationError:
    return ConfigurationError("{variable}: {problem}", variable=name, problem=problem)


def _detail(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
