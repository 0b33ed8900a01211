r"""Parser and encoder of HL7 v2 messages in ER7 encoding. Pure; it handles syntax only, not the meaning of fields.

Theory of operation. The first segment, MSH, names the five delimiters of everything after it: field `|`, component `^`,
repetition `~`, escape `\`, subcomponent `&`. A message is a list of segments, one a line; a field is a list of
repetitions, each a list of components, each a list of subcomponents. The parser accepts what senders really send: CR,
LF or both between segments, line ends within a text, MLLP framing around the message, other delimiters, unknown
segments, the usual spellings of a character set. MSH can be read alone (`read_header`), so that a message that cannot
be parsed still has an id and a sender to answer. The encoder separates segments with CR, uses the usual delimiters and
leaves out trailing empty fields, so that equal messages are equal bytes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

Component = tuple[str, ...]  # subcomponents
Repetition = tuple[Component, ...]
Field = tuple[Repetition, ...]
Value = str | Sequence[str | Sequence[str]]  # to write: text, or components, which may have subcomponents

MAX_SEGMENTS = 2000
_NULL = '""'  # HL7's null, "delete the value"; read as no value
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_MANGLED = re.compile(r"[A-Z0-9]{1,5}|\w{3}")  # before a field mark: likelier a wrong segment's name than a word
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LATIN = {f"8859{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)}
_WINDOWS = {str(page): f"cp{page}" for page in range(1250, 1259)}
_CHARACTER_SETS = (  # by the letters and digits of the name: HL7 table 0211 and what senders write in its place
    dict.fromkeys(("", "ASCII", "USASCII", "ISO646", "ISOIR6"), "")  # UTF-8, and ISO 8859-1 where it is not
    | dict.fromkeys(("UTF8", "UNICODE", "UNICODEUTF8", "ISOIR192"), "utf-8")
    | {f"{prefix}{part}": codec for part, codec in _LATIN.items() for prefix in ("", "ISO", "ISOIEC")}
    | {f"{prefix}{page}": codec for page, codec in _WINDOWS.items() for prefix in ("WINDOWS", "CP", "WIN", "ANSI")}
    | {"LATIN1": "iso8859_1", "L1": "iso8859_1", "ISOIR100": "iso8859_1", "LATIN9": "iso8859_15", "ANSI": "cp1252"}
    | {"ISOIR101": "iso8859_2", "ISOIR144": "iso8859_5", "ISOIR127": "iso8859_6", "ISOIR126": "iso8859_7"}
    | {"ISOIR138": "iso8859_8", "ISOIR148": "iso8859_9", "ISOIR13": "shift_jis", "ISOIR14": "iso2022_jp"}
    | {"ISOIR87": "iso2022_jp", "ISOIR159": "iso2022_jp_1", "KSX1001": "euc_kr", "BIG5": "big5"}
    | {"GB180302000": "gb18030", "GB18030": "gb18030", "GBK": "gbk", "GB2312": "gb2312", "SHIFTJIS": "shift_jis"}
)


class Er7Error(ValueError):
    """The bytes are not an HL7 v2 message; the error says what is accepted and repeats nothing of them."""


class Marks(msgspec.Struct, frozen=True):
    """The delimiters and the escape character of a message."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def by_letter(self) -> dict[str, str]:
        """Escape letter -> the delimiter that it stands for."""
        return {
            "F": self.field,
            "S": self.component,
            "R": self.repetition,
            "E": self.escape,
            "T": self.subcomponent,
        }


class Segment(msgspec.Struct, frozen=True):
    """One line: `fields[0]` is field 1. In MSH fields 1 and 2 are the marks."""

    name: str
    fields: tuple[Field, ...] = ()

    def get(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """The text of a subcomponent, trimmed; all positions count from 1; "" if there is none."""
        try:
            text = self.fields[field - 1][repetition - 1][component - 1][subcomponent - 1].strip()
        except IndexError:
            return ""
        return "" if text == _NULL else text

    def repetitions(self, field: int) -> Field:
        """The repetitions of a field; none if it is empty."""
        return self.fields[field - 1] if field <= len(self.fields) else ()


class Hl7Message(msgspec.Struct, frozen=True):
    """A message; the first segment is MSH."""

    segments: tuple[Segment, ...]

    def all(self, name: str) -> tuple[Segment, ...]:
        """The segments of that name."""
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment:
        """The first segment of that name; an empty one if there is none."""
        return next((segment for segment in self.segments if segment.name == name), Segment(name))

    def groups(self, leader: str) -> tuple["Hl7Message", ...]:
        """The groups of segments that begin with one named `leader`; segments before the first belong to none."""
        starts = [index for index, segment in enumerate(self.segments) if segment.name == leader]
        ends = [*starts[1:], len(self.segments)]
        return tuple(Hl7Message(self.segments[start:end]) for start, end in zip(starts, ends, strict=False))


# --- parsing


def read_header(payload: bytes) -> Segment:
    """MSH alone, whatever follows it and in whatever character set. Raises Er7Error where that cannot be read."""
    return _header(_bare(payload))[0]


def parse(payload: bytes, *, lossy: bool = False) -> Hl7Message:
    """Read one message, with or without MLLP framing. Raises Er7Error.

    `lossy` is for messages whose texts do not matter: undecodable text is replaced and is no error.
    """
    bare = _bare(payload)
    header, marks = _header(bare)
    texts = _lines(_decode(bare, header.get(18), lossy=lossy), marks, lossy=lossy)
    if len(texts) > MAX_SEGMENTS:
        raise Er7Error(f"more than {MAX_SEGMENTS} segments")
    segments = tuple(_segment(text, marks) for text in texts)
    if sum(segment.name == "MSH" for segment in segments) > 1:
        raise Er7Error("more than one MSH; accepted: one message at a time")
    return Hl7Message(segments)


def _bare(payload: bytes) -> bytes:
    """The message without MLLP framing, byte order mark and surrounding white space."""
    bare = payload.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x0b\r\n\t ").rstrip(b"\x1c\r\n\t \x00")
    if not bare.startswith(b"MSH"):
        raise Er7Error("does not begin with MSH; accepted: one HL7 v2 message in ER7 encoding, without batch segments")
    return bare


def _header(bare: bytes) -> tuple[Segment, Marks]:
    line = _auto_decoded(re.split(rb"[\r\n]", bare, maxsplit=1)[0])
    marks = _marks(line)
    return _segment(line, marks), marks


def _lines(text: str, marks: Marks, *, lossy: bool) -> list[str]:
    """The segments' texts. A line that cannot begin a segment is joined to the line before."""
    lines: list[list[str]] = []
    for line in re.split(r"\r\n|[\r\n]", text):
        name, mark, _ = line.partition(marks.field)
        if not lines or _NAME.fullmatch(name.strip()):
            lines.append([line])
        elif line.strip() and not lossy and (len(lines) == 1 or (mark and _MANGLED.fullmatch(name))):
            raise Er7Error("a line begins with no segment's name; escape line ends within a field as \\.br\\")
        else:
            lines[-1].append(line)
    return ["\n".join(parts).rstrip("\n") for parts in lines]


def _marks(header: str) -> Marks:
    field = header[3:4]
    marks = header[4:].split(field, maxsplit=1)[0] if field else ""
    if not 4 <= len(marks) <= 5 or len({field, *marks}) != 1 + len(marks) or any(map(_is_plain, (field, *marks))):
        raise Er7Error("MSH-1 and MSH-2 name no encoding characters; accepted: MSH|^~\\&|")
    return Marks(field, marks[0], marks[1], marks[2], marks[3])


def _is_plain(mark: str) -> bool:
    return mark.isalnum() or mark.isspace()


def _decode(payload: bytes, declared: str, *, lossy: bool) -> str:
    codec = _CHARACTER_SETS.get(re.sub(r"[^A-Z0-9]", "", declared.upper()))
    if codec == "" or (codec is None and lossy):
        return _auto_decoded(payload)
    if codec is None:
        raise Er7Error("MSH-18: not accepted; accepted: UNICODE UTF-8, ASCII, 8859/1 to 8859/16, or empty")
    try:
        return payload.decode(codec, errors="replace" if lossy else "strict")
    except UnicodeDecodeError:
        raise Er7Error("the bytes are not in the character set that MSH-18 names; mend MSH-18") from None


def _auto_decoded(payload: bytes) -> str:
    """The text of a message that declares no character set."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload.decode("latin-1")


def _segment(line: str, marks: Marks) -> Segment:
    name, *texts = line.split(marks.field)
    if name.strip() == "MSH":
        literal = (((marks.field,),),), (((texts[0],),),)
        return Segment("MSH", (*literal, *(_field(text, marks) for text in texts[1:])))
    return Segment(name.strip(), tuple(_field(text, marks) for text in texts))


def _field(text: str, marks: Marks) -> Field:
    if not text:
        return ()
    return tuple([_repetition_of(repetition, marks) for repetition in text.split(marks.repetition)])


def _repetition_of(text: str, marks: Marks) -> Repetition:
    if marks.component not in text and marks.subcomponent not in text:  # as most are
        return ((_unescape(text, marks),),)
    return tuple(
        [
            tuple([_unescape(part, marks) for part in component.split(marks.subcomponent)])
            for component in text.split(marks.component)
        ]
    )


def _unescape(text: str, marks: Marks) -> str:
    if marks.escape not in text:
        return text
    escape = re.escape(marks.escape)
    return re.sub(f"{escape}([^{escape}]*){escape}", lambda match: _escaped(match, marks), text)


def _escaped(match: re.Match[str], marks: Marks) -> str:
    """The text of an escape sequence; "" for highlighting and unknown ones."""
    code = match[1]
    if code in marks.by_letter:
        return marks.by_letter[code]
    if code.startswith("X") and _HEX.fullmatch(code[1:]):
        return bytes.fromhex(code[1:]).decode("utf-8", errors="replace")
    return "\n" if code in (".br", ".BR") else ""


# --- encoding

_MARKS = Marks()
_MSH_MARKS = 2  # MSH-1 and MSH-2


def segment(name: str, fields: Mapping[int, Value | list[Value]]) -> Segment:
    """A segment with these fields by their number. A list has repetitions; MSH-1 and MSH-2 are filled in."""
    last = max(fields, default=0)
    made = tuple(_made(fields.get(number, "")) for number in range(1, last + 1))
    if name == "MSH":
        made = (((("|",),),), ((("^~\\&",),),), *made[_MSH_MARKS:])
    return Segment(name, made)


def _made(value: Value | list[Value]) -> Field:
    repetitions = value if isinstance(value, list) else [value]
    return tuple(_repetition(each) for each in repetitions) if value else ()


def _repetition(value: Value) -> Repetition:
    if isinstance(value, str):
        return ((value,),)
    return tuple((each,) if isinstance(each, str) else tuple(each) for each in value)


def encode(segments: Iterable[Segment]) -> bytes:
    """The message in UTF-8, each segment ended by CR, without framing. The first segment is MSH."""
    return "".join(f"{_line(each)}\r" for each in segments).encode()


def cut(text: str, longest: int) -> str:
    """The longest beginning of the text that has at most `longest` characters once it is escaped."""
    length = 0
    for index, character in enumerate(text):
        length += len(_escape(character))
        if length > longest:
            return text[:index]
    return text


def _line(each: Segment) -> str:
    if each.name == "MSH":
        fields = [_MARKS.field.join(["MSH", each.get(2)]), *map(_text, each.fields[_MSH_MARKS:])]
    else:
        fields = [each.name, *map(_text, each.fields)]
    return _joined(_MARKS.field, fields)


def _text(field: Field) -> str:
    return _joined(
        _MARKS.repetition,
        (
            _joined(
                _MARKS.component, (_joined(_MARKS.subcomponent, map(_escape, component)) for component in repetition)
            )
            for repetition in field
        ),
    )


def _joined(mark: str, parts: Iterable[str]) -> str:
    return mark.join(parts).rstrip(mark)


def _escape(text: str) -> str:
    escaped = text.replace(_MARKS.escape, "\\E\\")
    for letter, mark in _MARKS.by_letter.items():
        if letter != "E":
            escaped = escaped.replace(mark, f"\\{letter}\\")
    escaped = escaped.replace("\r\n", "\\.br\\").replace("\n", "\\.br\\").replace("\r", "\\.br\\")
    return _CONTROL.sub(lambda match: f"\\X{ord(match[0]):02X}\\", escaped)
