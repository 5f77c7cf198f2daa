"""What is wrong with a YAML document, in words for people.

libyaml says what its scanner met; the usual causes are a tab, a missing quote, a template. The place
that it names is kept unless the cause stands elsewhere.
"""

from __future__ import annotations

from tidewaiter.rules.loading.limits import DEFAULT_LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidewaiter.rules.loading.libyaml import SyntaxProblem


TEMPLATE = "this looks like a template ({{ ... }}), not YAML; render it first"


def explain(problem: SyntaxProblem, text: str) -> tuple[str, int]:
    """Return one sentence and the offset in the document's text that it is about."""
    if problem.character is not None:
        return _character(problem.character, text)
    mark, context = problem.problem_mark, problem.context or ""
    offset = min(mark.index, len(text)) if mark is not None else 0
    line_start = _line_start(text, offset)
    if "cannot start any token" in problem.problem or "indentation" in problem.problem:
        if (tab := _tab_in_indent(text, line_start)) is not None:
            return "a tab indents this line; YAML takes only spaces there", tab
    template = _template_near(text, offset)
    if template is not None:
        return TEMPLATE, template
    if (tab := _tab_in_indent(text, line_start)) is not None:
        return "a tab indents this line; YAML takes only spaces there", tab
    start = (
        min(problem.context_mark.index, len(text)) if problem.context_mark is not None else offset
    )
    for words, sentence, at_context in _SENTENCES:
        if words in problem.problem or words in context:
            return sentence, start if at_context else offset
    return problem.problem + (f" ({context})" if context else ""), offset


_SENTENCES: tuple[tuple[str, str, bool], ...] = (
    # libyaml has a limit of its own, above ours, which its scanner may reach first.
    ("maximum nesting depth", f"nests more than {DEFAULT_LIMITS.depth} levels deep", False),
    ("escape", "a text in double quotes holds an unknown escape; double the backslash", False),
    ("hexdecimal", "a text in double quotes holds a broken escape; double the backslash", False),
    ("quoted scalar", "a quoted text begins here and is never closed", True),
    (
        "mapping values are not allowed",
        "a ': ' cannot stand here; quote the text if the colon is part of it, or check indentation",
        False,
    ),
    (
        "could not find expected ':'",
        "a key needs a ':' on its line; this text has none, or its quotes or indentation are wrong",
        True,
    ),
    (
        "flow sequence",
        "a list in [ ] begins here and is not closed, or a comma between its items is missing",
        True,
    ),
    (
        "flow mapping",
        "a mapping in { } begins here and is not closed, or a comma between its fields is missing",
        True,
    ),
    (
        "block mapping",
        "this line is no 'key: value' at the indentation of the fields above it",
        False,
    ),
    ("block collection", "this line is no '- item' at the indentation of the list above it", False),
    (
        "block sequence entries are not allowed",
        "a list item ('- ') cannot stand here; put it on a line of its own",
        False,
    ),
    (
        "block scalar",
        "the header of a block text (| or >) is wrong or its lines are indented wrongly",
        False,
    ),
    (
        "cannot start any token",
        "a plain text cannot begin with this character; put the text in quotes",
        False,
    ),
    (
        "scanning an anchor",
        "the name of an anchor (&) is wrong; quote the text if it is none",
        False,
    ),
    ("scanning an alias", "the name of an alias (*) is wrong; quote the text if it is none", False),
    ("tag", "a tag (!) is wrong; quote the text if the exclamation mark is part of it", False),
    (
        "<document start>",
        "this line belongs to no document; a '---' or a closing brace is misplaced",
        False,
    ),
    (
        "directive",
        "a directive (%) is wrong; quote the text if the percent sign is part of it",
        False,
    ),
)


def _character(code: int, text: str) -> tuple[str, int]:
    offset = text.find(chr(code)) if code < 0x110000 else -1
    return (
        f"the character U+{code:04X} stands here, which YAML does not allow; remove or escape it",
        max(offset, 0),
    )


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _tab_in_indent(text: str, line_start: int) -> int | None:
    """Offset of a tab among the blanks that begin a line."""
    at = line_start
    while text[at : at + 1] == " ":
        at += 1
    return at if text[at : at + 1] == "\t" else None


def _template_near(text: str, offset: int) -> int | None:
    """Offset of the template braces that most likely caused an error at `offset`, if there are any."""
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        at = text.rfind(opening, 0, offset + 2)
        if at < 0:
            at = text.find(opening)
        if at >= 0 and text.find(closing, at) >= 0:
            return at
    return None
