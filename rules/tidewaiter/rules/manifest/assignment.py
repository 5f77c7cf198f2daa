"""Credentials that a longer text gives to a name: configuration files, scripts, connection strings.

What is a literal depends on the text: in YAML, INI, properties and shell a bare word is one, in other
programs it is a variable, and prose and pages assign nothing. The value is never returned.
"""

from __future__ import annotations

from tidewaiter.rules.manifest.credential import (
    expression,
    is_literal_credential,
    kind_of_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from re import Match

_ASSIGNMENT = (
    r"""(?:^|[\s;,&{?=("'])(?P<dashes>-{0,2})(?P<name>[A-Za-z][\w.-]{1,60})["']?"""
    r"""(?P<separator>\s{0,40}(?:=>|[:=])\s{0,40}|\s{1,4})"""
    r"""(?:"(?P<double>[^"]{0,500})"|'(?P<single>[^']{0,500})'|(?P<bare>[^\s"',;&{}\[\]()<>|`]{1,500}))"""
)
"""`name: value`, `"name": "value"`, `name=value`, `--name value`."""
_HINTS = ("pass", "pwd", "secret", "token", "credential", "masterauth", "bearer")
_KEY_HINTS = (
    "access",
    "account",
    "api",
    "app",
    "auth",
    "client",
    "encryption",
    "license",
    "master",
    "private",
    "session",
    "shared",
    "signing",
)
_COMMENTS = ("#", "//", ";", "* ", "/*", "<!--", "-- ", "%", "rem ")
_PAGES = (
    ".adoc",
    ".css",
    ".csv",
    ".htm",
    ".html",
    ".markdown",
    ".md",
    ".po",
    ".rst",
    ".sql",
    ".svg",
    ".txt",
)
"""Endings of keys whose texts are read by people, or assign in other ways."""
_PROGRAMS = (
    ".c", ".cs", ".cue", ".go", ".gotmpl", ".groovy", ".j2", ".java", ".jinja", ".js", ".jsonnet", ".jsx",
    ".kt", ".kts", ".libsonnet", ".lua", ".mjs", ".php", ".pl", ".ps1", ".py", ".r", ".rb", ".rego", ".rs",
    ".scala", ".star", ".tf", ".tmpl", ".tpl", ".ts", ".tsx",
)  # fmt: skip
_SETTINGS = (
    ".bash", ".cfg", ".cnf", ".conf", ".env", ".ini", ".json", ".properties", ".sh", ".toml", ".yaml", ".yml",
)  # fmt: skip
_STATEMENTS = (
    "class ", "const ", "def ", "export default", "from ", "func ", "function ", "import ", "let ", "local ",
    "module.exports", "package ", "require(", "return ", "use strict", "using ", "var ",
)  # fmt: skip
_SHELLS = ("sh", "ash", "bash", "dash", "ksh", "zsh")
_TYPES = frozenset({"bool", "boolean", "bytes", "keyword", "str", "string", "text"})
"""Values that say what a field holds."""
_LONGEST_LINE = 200_000
_ENDS = (",", ";", "&", "}", "]", '"', "'", "|", "`")


def assigned_credential(text: str, key: str = "") -> str | None:
    """Return the name under which a text holds a credential, or None; `key` is its file's name.

    Lines that are comments are passed over.
    """
    if not _may_assign(text.lower()):
        return None
    ending = key[key.rfind(".") :].lower() if "." in key else ""
    if ending in _PAGES:
        return None
    lines = text.splitlines()
    program = ending in _PROGRAMS or (ending not in _SETTINGS and _is_program(lines))
    for line in lines:
        if len(line) > _LONGEST_LINE or not _may_assign(line.lower()):
            continue
        if line.lstrip().lower().startswith(_COMMENTS) and len(lines) > 1:
            continue
        for name, value in _assignments(line.replace('\\"', '"'), program=program):
            if is_literal_credential(name, value):
                return name
    return None


def _may_assign(lowered: str) -> bool:
    return any(hint in lowered for hint in _HINTS) or (
        "key" in lowered and any(hint in lowered for hint in _KEY_HINTS)
    )


def _is_program(lines: list[str]) -> bool:
    """Tell whether a text is a program in which a bare word is a variable."""
    first = lines[0].strip() if lines else ""
    if first.startswith("#!"):
        words = first[2:].split()
        if words and words[0].endswith("/env"):
            del words[0]
        return bool(words) and words[0].rpartition("/")[2] not in _SHELLS
    return any(line.lstrip().startswith(_STATEMENTS) for line in lines[:400])


def _assignments(line: str, *, program: bool) -> Iterator[tuple[str, str]]:
    """Yield the names and the literals that are given to them; names of no credentials are left out."""
    start = 0
    while True:
        match = expression(_ASSIGNMENT).search(line, start)
        if match is None:
            return
        name = match["name"]
        # What follows a name that means nothing is looked at for names of its own.
        start = match.end() if kind_of_name(name) else match.end("name")
        quoted = match["double"] if match["double"] is not None else match["single"]
        value = quoted if quoted is not None else match["bare"]
        if start != match.end() or not _is_assigned(match):
            continue
        if quoted is None and (program or not _is_whole(line, match)):
            continue
        if value.lower() in _TYPES or (quoted is not None and _is_label(value)):
            continue
        yield name, value


def _is_label(value: str) -> bool:
    """Tell whether a quoted value is what a page calls the field: `"password": "Password"`."""
    return value in ("Password", "Passwd", "Passphrase", "Token", "Secret")


def _is_assigned(match: Match[str]) -> bool:
    """Tell whether name and value belong together: blanks alone join only a flag to its value."""
    if match["separator"].strip():
        return True
    if match["name"] in ("requirepass", "masterauth"):
        return match.start("name") == len(match.string) - len(match.string.lstrip())
    value = match["bare"] or ""
    # In usage texts a word stands in the place of the value: `--password PASSWORD`, `--token string`.
    return match["dashes"] == "--" and any(character.isdigit() for character in value)


def _is_whole(line: str, match: Match[str]) -> bool:
    """Tell whether a bare word is all of the value, and not the beginning of a sentence or a call."""
    rest = line[match.end() : match.end() + 80]
    if not rest.strip() or rest.lstrip().startswith(("#", "//")):
        return not _is_field_of_object(match["bare"])
    if rest[0].isspace():
        tight = match["separator"] == "=" or match["dashes"] == "--"
        return tight and not _is_field_of_object(match["bare"])
    return rest[0] in _ENDS and not _is_field_of_object(match["bare"])


def _is_field_of_object(value: str) -> bool:
    """Tell whether a bare value names a variable, as `process.env.PASSWORD` and `args.token` do."""
    return (
        "." in value
        and value.replace(".", "").replace("_", "").isalpha()
        and bool(kind_of_name(value))
    )
