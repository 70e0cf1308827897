# SPDX-License-Identifier: Apache-2.0
"""What cmd.exe makes of a batch file, strictly: one that relies on anything doubtful is refused.

Follows what is documented and observed of cmd.exe: percent expansion of a batch line comes first
and knows no quotes; then quotation marks and carets decide what is special; then, where it is on,
delayed expansion takes `!`; the program started splits its line as Microsoft's C runtime does.
"""
import re


class Refused(Exception):
    pass


def expand_percent(line, folder, arguments):
    out, at = "", 0
    while at < len(line):
        rest = line[at:]
        if line[at] != "%":
            out, at = out + line[at], at + 1
        elif rest.startswith("%%"):
            out, at = out + "%", at + 2
        elif rest.startswith("%*"):
            out, at = out + arguments, at + 2
        elif rest.startswith("%~dp0"):
            out, at = out + folder, at + 5
        else:
            raise Refused(f"a percent sign that cmd would take for a variable: {line}")
    return out


def split_commands(line):
    """[(operator before it, text as the program sees it, redirections)]"""
    commands, text, operator, redirects = [], "", "", []
    quoted, at = False, 0
    while at < len(line):
        c = line[at]
        if c == "^" and not quoted:
            if at + 1 == len(line):
                raise Refused(f"a caret at the end continues the line: {line}")
            text, at = text + line[at + 1], at + 2
            continue
        if c == '"':
            quoted = not quoted
        if not quoted and c in "()":
            raise Refused(f"a bare parenthesis: {line}")
        if not quoted and c in "<>":
            target = re.match(r">\s*(\w+)", line[at:])
            if not target:
                raise Refused(f"a redirection: {line}")
            redirects.append(target[1])
            at += target.end()
            continue
        if not quoted and c in "&|":
            commands.append((operator, text.strip(), redirects))
            operator = c * 2 if line[at:at + 2] == c * 2 else c
            text, redirects, at = "", [], at + len(operator)
            continue
        text, at = text + c, at + 1
    if quoted:
        raise Refused(f"a quotation that does not end: {line}")
    return commands + [(operator, text.strip(), redirects)]


def argv(text):
    """As CommandLineToArgvW: 2n backslashes and a mark are n and a mark that counts."""
    words, word, quoted, at = [], None, False, 0
    while at < len(text):
        run = len(text) - at - len(text[at:].lstrip("\\"))
        if run and text[at + run:at + run + 1] == '"':
            word = (word or "") + "\\" * (run // 2)
            at += run
            if run % 2:
                word, at = word + '"', at + 1
            continue
        c = text[at]
        if c == '"':
            if quoted and text[at + 1:at + 2] == '"':
                raise Refused(f"two marks in a row, which programs read differently: {text}")
            quoted, word = not quoted, word or ""
        elif c in " \t" and not quoted:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + c
        at += 1
    return words + ([word] if word is not None else [])


def read_batch(data, folder="X:\\here\\", arguments=""):
    """The commands of a batch file, as lists of words; `rem` lines are checked and left out."""
    if b"\n" in data.replace(b"\r\n", b"") or b"\r" in data.replace(b"\r\n", b""):
        raise Refused("a line that does not end with CR LF")
    if data.startswith(b"\xef\xbb\xbf") or any(x < 32 for x in data.replace(b"\r\n", b"")):
        raise Refused("a byte order mark or a control character")
    result, utf8, delayed = [], False, True  # somebody may have switched delayed expansion on
    for line in data.decode("utf-8").split("\r\n"):
        if not line:
            continue
        if not line.isascii() and not utf8:
            raise Refused(f"beyond ASCII before chcp 65001: {line}")
        if len(line) > 8191:
            raise Refused("longer than 8,191 characters")
        if line.lower().startswith("rem"):
            if re.search(r"[&|<>^]", line) or "%" in line.replace("%%", ""):
                raise Refused(f"a comment that cmd might act on: {line}")
            continue
        expanded = expand_percent(line, folder, arguments)
        if "!" in expanded and delayed:
            raise Refused(f"an exclamation mark under delayed expansion: {line}")
        for operator, text, redirects in split_commands(expanded):
            builtin = re.fullmatch(r'cd /d "([^"]*)"', text)  # takes its text as it is
            words = ["cd", "/d", builtin[1]] if builtin else argv(text)
            result.append((operator, words, redirects))
            utf8 = utf8 or words == ["chcp", "65001"]
            if words[0].lower() == "setlocal":
                delayed = words[1:] != ["DisableDelayedExpansion"]
    return result
