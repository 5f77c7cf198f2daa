"""From bytes to text, and from an offset in the text to a line and column.

YAML streams are UTF-8, UTF-16 or UTF-32, told apart by a byte order mark or else by where the NULs of
the first, ASCII, character are (https://yaml.org/spec/1.2.2/#52-character-encodings).
"""

from __future__ import annotations

from tidewaiter.rules.errors import InputError

_MARKS = (
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xef\xbb\xbf", "utf-8"),
)


def decode(data: bytes) -> str:
    """Decode a file without its byte order mark.

    Raises InputError where the bytes are not text, at the place of the first wrong one.
    """
    encoding, skipped = _encoding(data)
    try:
        text = str(data[skipped:] if skipped else data, encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8" or _looks_binary(data):
            raise InputError("is not text") from None
        line, column = LineIndex(str(data[skipped : skipped + error.start], "utf-8")).end()
        byte = data[skipped + error.start]
        raise InputError(
            f"is not UTF-8 text: the byte 0x{byte:02x} stands here; save the file as UTF-8",
            line=line,
            column=column,
        ) from None
    if "\0" in text or (not skipped and encoding != "utf-8" and not text[:1].isprintable()):
        raise InputError("is not text: it holds NUL characters")
    return text


def encode(text: str, like: bytes) -> bytes:
    """Encode a text as the file whose content was `like`, with its byte order mark if any."""
    encoding, skipped = _encoding(like)
    return like[:skipped] + text.encode(encoding)


def _encoding(data: bytes) -> tuple[str, int]:
    """Name the encoding and count the bytes of its mark."""
    head = data[:4]
    if head[:1].isascii() and b"\0" not in head:
        return "utf-8", 0
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    zeros = tuple(byte == 0 for byte in head)
    if zeros == (True, True, True, False):
        return "utf-32-be", 0
    if zeros == (False, True, True, True):
        return "utf-32-le", 0
    if zeros[:2] == (True, False):
        return "utf-16-be", 0
    if zeros[:2] == (False, True):
        return "utf-16-le", 0
    return "utf-8", 0


def _looks_binary(data: bytes) -> bool:
    """Tell a picture or an archive from a text in some old 8-bit encoding."""
    head = data[:4096]
    controls = sum(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in head)
    return controls * 50 > len(head)


class LineIndex:
    """Where lines begin in a text: LF, CRLF and a lone CR end one, nothing else does.

    It keeps one entry for each few thousand characters, so that it is small for any text.
    """

    __slots__ = ("_counts", "_starts", "_text")

    def __init__(self, text: str) -> None:
        """Count the lines of `text`."""
        self._text = text
        self._counts = [0]
        self._starts = [0]
        count = start = 0
        for begin in range(0, len(text), _STRIDE):
            ended = _line_ends(text, begin, begin + _STRIDE)
            if ended:
                count += ended
                start = _last_line_start(text, begin, begin + _STRIDE)
            self._counts.append(count)
            self._starts.append(start)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, the column in characters."""
        stride = offset // _STRIDE
        begin = stride * _STRIDE
        ended = _line_ends(self._text, begin, offset)
        start = _last_line_start(self._text, begin, offset) if ended else self._starts[stride]
        return self._counts[stride] + ended + 1, offset - start + 1

    def end(self) -> tuple[int, int]:
        """Line and column just behind the last character."""
        return self.place(len(self._text))


_STRIDE = 4096


def next_line(text: str, at: int) -> int:
    """Offset at which the line behind that of the offset `at` begins, or the end of the text."""
    while at < len(text):  # by strides: a text with one kind of line end only is not searched whole
        end = at + _STRIDE
        feed = text.find("\n", at, end)
        returned = text.find("\r", at, feed if feed >= 0 else end)
        if returned >= 0:
            return returned + (2 if text.startswith("\r\n", returned) else 1)
        if feed >= 0:
            return feed + 1
        at = end
    return len(text)


def line_ends(text: str) -> int:
    """Count the line ends of a text."""
    return _line_ends(text, 0, len(text))


def _line_ends(text: str, begin: int, end: int) -> int:
    """Count the lines that end from `begin` to `end`; a CRLF ends with its LF."""
    lone_returns = text.count("\r", begin, end)
    if lone_returns:
        lone_returns -= text.count("\r\n", begin, end + 1)
    return text.count("\n", begin, end) + lone_returns


def _last_line_start(text: str, begin: int, end: int) -> int:
    """Offset behind the last line end from `begin` to `end`; there is one."""
    end_of_line = text.rfind("\n", begin, end)
    returned = text.rfind("\r", max(begin, end_of_line), end)
    if returned >= 0 and text.startswith("\r\n", returned):
        returned = text.rfind("\r", max(begin, end_of_line), returned)
    return max(end_of_line, returned) + 1
