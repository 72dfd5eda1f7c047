"""Tables of codes and states, and the vocabulary of categories: data files with a schema, read once.

The vendor's manuals hold none of the z/OS codes, so the project ships its own. What messages mean is known by the
symptoms of ``orchestrator.joblog``, whose ``find_code`` looks up both. A text is an object of language tag to
text (``orchestrator.i18n.localized``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestrator.i18n.localized import Localized
from orchestrator.i18n.message import Text


class Category(StrEnum):
    """Every category of a diagnosis; each has its texts in ``data/categories.json``."""

    DATA_EXCEPTION = "data_exception"
    PROGRAM_ERROR = "program_error"
    ARITHMETIC_ERROR = "arithmetic_error"
    MODULE_NOT_FOUND = "module_not_found"
    DATASET_OPEN_ERROR = "dataset_open_error"
    DATASET_SPACE = "dataset_space"
    CPU_TIME_LIMIT = "cpu_time_limit"
    WAIT_TIMEOUT = "wait_timeout"
    OUTPUT_LIMIT = "output_limit"
    STORAGE_SHORTAGE = "storage_shortage"
    SECURITY_VIOLATION = "security_violation"
    CANCELLED = "cancelled"
    APPLICATION_ABEND = "application_abend"
    APPLICATION_ERROR = "application_error"
    DATABASE_ERROR = "database_error"
    JCL_ERROR = "jcl_error"
    DATASET_EXISTS = "dataset_exists"
    DATASET_NOT_FOUND = "dataset_not_found"
    DATASET_IN_USE = "dataset_in_use"
    FILE_ERROR = "file_error"
    CONTROL_STATEMENT = "control_statement"
    INPUT_DATA = "input_data"
    SQL_ERROR = "sql_error"
    DATABASE_LOCK = "database_lock"
    DUPLICATE_KEY = "duplicate_key"
    DATABASE_UNAVAILABLE = "database_unavailable"
    SERVICE_UNAVAILABLE = "service_unavailable"
    LOGIN_REFUSED = "login_refused"
    NETWORK_ERROR = "network_error"
    CERTIFICATE_ERROR = "certificate_error"
    FILE_NOT_FOUND = "file_not_found"
    TRANSFER_ERROR = "transfer_error"
    RESOURCE_LIMIT = "resource_limit"
    CONFIGURATION_ERROR = "configuration_error"
    SCRIPT_ERROR = "script_error"
    MISSING_OBJECT = "missing_object"
    WARNINGS_ONLY = "warnings_only"
    SCHEDULER_ERROR = "scheduler_error"
    COMMAND_NOT_FOUND = "command_not_found"
    PERMISSION_DENIED = "permission_denied"
    OUT_OF_MEMORY = "out_of_memory"
    TERMINATED = "terminated"
    DISK_FULL = "disk_full"
    LOGON_USER_UNKNOWN = "logon_user_unknown"
    LAUNCH_FAILURE = "launch_failure"
    JOB_LIMIT_ZERO = "job_limit_zero"
    JOB_LIMIT_REACHED = "job_limit_reached"
    FENCE_PRIORITY = "fence_priority"
    WAITING_FILE = "waiting_file"
    WAITING_TIME = "waiting_time"
    WAITING_PROMPT = "waiting_prompt"
    WAITING_RESOURCE = "waiting_resource"
    WAITING_PREDECESSOR = "waiting_predecessor"
    PREDECESSOR_FAILED = "predecessor_failed"
    AGENT_UNLINKED = "agent_unlinked"
    USER_INTERVENTION = "user_intervention"
    CONDITION_NOT_MET = "condition_not_met"
    SUCCESS_CONDITION_MET = "success_condition_met"
    LAUNCHING = "launching"
    RUNNING = "running"
    COMPLETED = "completed"
    JOB_NOT_FOUND = "job_not_found"
    NO_PROBLEM = "no_problem"
    PLAN_LIST = "plan_list"
    UNKNOWN = "unknown"


class Platform(StrEnum):
    """What a job runs on, as far as codes and messages differ by it."""

    ZOS = "zos"
    UNIX = "unix"
    WINDOWS = "windows"


class Model(BaseModel):
    """Base of the data files: frozen, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_M = TypeVar("_M", bound=Model)


class Advice(Model):
    """A check or a fix. It is only ever proposed; ``mutates`` marks one that changes TWS, data or a machine."""

    text: Localized
    risk: Literal["none", "low", "medium", "high"] = "none"
    mutates: bool = False
    command: str | None = None
    """May hold ``{job}`` and ``{workstation}``; left out of an answer when one of them is not known."""

    @model_validator(mode="after")
    def _a_change_has_a_risk(self) -> Self:
        if self.mutates and self.risk == "none":
            raise ValueError("advice that changes something must state its risk")
        return self

    def command_with(self, names: Mapping[str, str]) -> str | None:
        """The command with its names filled in; None without a command or when one of the names is not known."""
        needed = re.findall(r"\{(\w+)\}", self.command or "")
        if self.command is None or not all(names.get(name) for name in needed):
            return None
        return quoted(self.command.format_map(names))


def quoted(command: str) -> str:
    """A command of conman, in quotes where a shell would read its parentheses: ``WS#JS(0600 11/24/26).JOB``."""
    program, _, rest = command.partition(" ")
    return f'{program} "{rest}"' if program == "conman" and "(" in rest else command


class Phase(StrEnum):
    """Where in its life a job or job stream is, by its state."""

    WAITING = "waiting"
    LAUNCHING = "launching"
    RUNNING = "running"
    CONFIRMING = "confirming"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    FAILED = "failed"
    STALLED = "stalled"
    """It cannot go on by itself, without having failed."""


class Entry(Model):
    """What is known of one code, state or message."""

    key: str
    aliases: tuple[str, ...] = ()
    """Other codes that it explains, or other spellings of the key."""
    category: Category
    name: Localized
    meaning: Localized
    causes: tuple[Localized, ...] = ()
    """Usual causes, for whom nothing shows which one it was."""
    checks: tuple[Advice, ...] = ()
    fixes: tuple[Advice, ...] = ()
    prevention: tuple[Localized, ...] = ()
    """An entry without its own takes its category's: see ``advice_of``."""

    @property
    def explains_failure(self) -> bool:
        """Whether a job may have failed by it."""
        return self.category is not Category.UNKNOWN

    @property
    def in_general(self) -> Text:
        """The meaning without the facts of a log."""
        return self.meaning


class TableEntry(Entry):
    """An entry of a table of codes or states."""

    phase: Phase | None = None
    """Of a state; no other entry has one."""
    causes: tuple[Localized, ...] = Field(min_length=1)


class Kind(StrEnum):
    """Tables; each is one data file of that name."""

    SYSTEM_ABEND = "system_abends"
    USER_ABEND = "user_abends"
    UNIX_RETURN_CODE = "return_codes_unix"
    WINDOWS_RETURN_CODE = "return_codes_windows"
    ZOS_RETURN_CODE = "return_codes_zos"
    JOB_STATE = "job_states"
    JOB_SUBSTATE = "job_substates"
    MESSAGE_FAMILY = "message_families"


class CatalogueFile(Model):
    """A table."""

    schema_version: Literal[1]
    kind: Kind
    entries: tuple[TableEntry, ...]

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        keys = [key for entry in self.entries for key in (entry.key, *entry.aliases)]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise ValueError(f"keys stand twice: {sorted(repeated)}")
        return self

    @model_validator(mode="after")
    def _states_have_a_phase(self) -> Self:
        wrong = [entry.key for entry in self.entries if (entry.phase is None) is (self.kind is Kind.JOB_STATE)]
        if wrong:
            raise ValueError(f"only job states have a phase, and each has one: {wrong}")
        return self


class CategoryTexts(Model):
    """The texts of a category: a short title, the cause as a sentence, then what to check, do and change."""

    title: Localized
    cause: Localized
    """May hold the facts of the rules (``{job}``, ``{code}``, ``{detail}``...)."""
    checks: tuple[Advice, ...] = ()
    fixes: tuple[Advice, ...] = ()
    prevention: tuple[Localized, ...] = ()


class CategoriesFile(Model):
    """The texts of every category."""

    schema_version: Literal[1]
    categories: dict[Category, CategoryTexts]


def _read(model: type[_M], name: str) -> _M:
    try:
        return model.model_validate_json((files("orchestrator.codes") / "data" / f"{name}.json").read_bytes())
    except ValueError as error:
        error.add_note(f"in orchestrator/codes/data/{name}.json")
        raise


@cache
def entries(kind: Kind) -> dict[str, TableEntry]:
    """The entries of one table by key and alias."""
    file = _read(CatalogueFile, kind.value)
    return {key: entry for entry in file.entries for key in (entry.key, *entry.aliases)}


@cache
def _categories() -> dict[Category, CategoryTexts]:
    return _read(CategoriesFile, "categories").categories


def category_texts(category: Category) -> CategoryTexts:
    """The texts of a category."""
    return _categories()[category]


@dataclass(frozen=True, slots=True)
class AdviceSet:
    """What to check, what to propose, how to keep it from happening again."""

    checks: tuple[Advice, ...] = ()
    fixes: tuple[Advice, ...] = ()
    prevention: tuple[Localized, ...] = ()


def advice_of(category: Category, own: Entry | None = None) -> AdviceSet:
    """The advice of a category, with that of one of its entries in place of it where that has its own."""
    general = category_texts(category)
    if own is None:
        return AdviceSet(general.checks, general.fixes, general.prevention)
    return AdviceSet(own.checks or general.checks, own.fixes or general.fixes, own.prevention or general.prevention)


@cache
def known_abends() -> frozenset[str]:
    """The abend codes of the tables."""
    return frozenset((*entries(Kind.SYSTEM_ABEND), *entries(Kind.USER_ABEND)))


def find_abend(code: str) -> Entry | None:
    """The entry of ``S0C7`` or ``U4038``; an unlisted user abend gets the entry ``U????``."""
    if code.startswith("U"):
        return entries(Kind.USER_ABEND).get(code) or entries(Kind.USER_ABEND).get("U????")
    return entries(Kind.SYSTEM_ABEND).get(code)


def find_return_code(code: int, platform: Platform | None = None) -> Entry | None:
    """The entry of a return code on ``platform``; without one, of any: no two systems' lists share a code."""
    kinds = {
        Platform.UNIX: Kind.UNIX_RETURN_CODE,
        Platform.WINDOWS: Kind.WINDOWS_RETURN_CODE,
        Platform.ZOS: Kind.ZOS_RETURN_CODE,
    }
    listed = kinds.values() if platform is None else (kinds[platform],)
    return next((entry for kind in listed if (entry := entries(kind).get(str(code)))), None)


def find_state(status: str) -> Entry | None:
    """The entry of a job or job stream state."""
    return entries(Kind.JOB_STATE).get(status.upper())


def find_substate(substatus: str) -> Entry | None:
    """The entry of a substate such as ``READY_WAITING_FOR_LIMIT``."""
    return entries(Kind.JOB_SUBSTATE).get(substatus.upper())
