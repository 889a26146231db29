"""What the pages of frameworks, and examples/README.md, tell to paste: the program, its server, and what curl gets."""

from __future__ import annotations

import json
import os
import platform
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import CLONE
from tests.e2e.serving import APPS, GUNICORN, UVICORN, curl, running, tokens_printed_by
from tests.test_docs import Snippet, commands, in_a_shell, is_as_shown, snippets

HERE = "the code above"  # what a block needs that is run by this file alone
LOCAL_POOL = "python -m examples.local_pool "
# The server of a page, told to take a socket that is open: so no test has to guess a free port. The development servers
# of Flask and Django can't; gunicorn stands in for them.
SERVERS = {
    "uvicorn app:app": (*UVICORN, "app:app"),
    "gunicorn app:app": (*GUNICORN, "app:app"),
    "flask --app app run --port 8000": (*GUNICORN, "app:app"),
    "python manage.py runserver": (*GUNICORN, "mysite.wsgi"),
    "manage runserver": (*GUNICORN, "mysite.wsgi"),
    "uvicorn --app-dir examples/fastapi_lambda app:app": (*UVICORN, "--app-dir", "examples/fastapi_lambda", "app:app"),
    "uvicorn examples.starlette_reports.app:app": (*UVICORN, APPS["starlette"]),
    "uvicorn examples.asgi_reports.app:app": (*UVICORN, APPS["asgi"]),
    "gunicorn examples.wsgi_reports.app:app": (*GUNICORN, APPS["wsgi"]),
    "flask --app examples/flask_reports/app.py run --port 8000": (*GUNICORN, APPS["flask"]),
    "examples.django_reports.project runserver": (*GUNICORN, APPS["django"]),
}
FROM_ENV = "write `CognitoVerifier.from_env()` for `CognitoVerifier(...)`"
# What a page tells to change for a pool on this machine.
CHANGES = {
    "fastapi": FROM_ENV,
    "starlette": FROM_ENV,
    "asgi-wsgi": FROM_ENV,
    "lambda-web": FROM_ENV,
    "powertools": FROM_ENV,
    "flask": "write `CognitoAuth(app, CognitoVerifier.from_env())` for `CognitoAuth(app)`, import `CognitoVerifier`",
    "django": "Write that in the place of the line above",
    "mcp": "Leave `transport_security=security` out",
}


def changed(name: str, code: str, shown: str) -> str:
    """The code of a page for a pool on this machine: the change that its words tell of, or show."""
    if name == "flask":
        return "from cognito_verify import CognitoVerifier\n" + code.replace(
            "CognitoAuth(app)", "CognitoAuth(app, CognitoVerifier.from_env())"
        )
    if name == "django":
        return re.sub(r"^COGNITO_VERIFY = .*\n", lambda _: shown, code, flags=re.MULTILINE)
    if name == "mcp":
        code = code.replace("(transport_security=security)", "()")
        return re.sub(r"^pool = .*\n", lambda _: shown, code, flags=re.MULTILINE)
    return re.sub(r"CognitoVerifier\(\"us-east-1_AbCdEfGhI\".*?\)", "CognitoVerifier.from_env()", code)


def page(name: str) -> Path:
    return CLONE / "docs" / "how-to" / f"{name}.md"


def parts(name: str) -> Iterator[list[Snippet]]:
    """The blocks of a page up to each that shows a program under a local pool, that one included."""
    part: list[Snippet] = []
    for snippet in snippets(page(name)):
        part.append(snippet)
        if snippet.needs == HERE and LOCAL_POOL in snippet.text:
            yield part
            part = []


PARTS = [(name, number) for name in CHANGES for number, _ in enumerate(parts(name))]


def test_every_page_says_what_to_change_for_a_pool_on_this_machine() -> None:
    assert [name for name, _ in PARTS].count("asgi-wsgi") == 2
    assert {name for name, _ in PARTS} == CHANGES.keys() - {"powertools"}  # which has no server
    for name, words in CHANGES.items():
        assert words in " ".join(page(name).read_text(encoding="utf-8").split()), name  # wherever its lines end


@pytest.mark.parametrize(("name", "number"), PARTS)
def test_what_a_page_tells_to_paste_first_answers_as_shown(name: str, number: int, tmp_path: Path) -> None:
    part = list(parts(name))[number]
    without_token, with_token = [block for block in part if block.language == "console"]
    for block in part:
        if block.language == "sh" and not block.needs:
            in_a_shell(block.text, tmp_path)
    program = write([block for block in part if block.language == "python" and not block.needs], tmp_path)
    try_out(commands(without_token.text), tmp_path)
    shown = "".join(block.text.partition("\n")[2] for block in part if block.language == "python" and block.needs)
    change(name, program, shown)
    try_out(commands(with_token.text), tmp_path)


def test_a_program_that_prints_no_tokens_is_quoted() -> None:
    with running(["platform"], {}) as (_, process), pytest.raises(AssertionError, match=f"ADA=.*{platform.system()}"):
        tokens_printed_by(process)


def local_pool_of_the_page() -> Snippet:
    (block,) = [block for block in snippets(page("local-development")) if block.file == "local_pool.py"]
    return block


def test_the_local_pool_of_the_page_needs_no_clone(tmp_path: Path) -> None:
    local_pool_of_the_page().write(tmp_path)
    (part,) = parts("fastapi")
    change("fastapi", write([block for block in part if block.language == "python"], tmp_path), "")
    try_out(commands(part[-1].text), tmp_path, "local_pool")


def test_the_local_pool_of_the_page_has_the_users_of_the_one_in_the_clone(tmp_path: Path) -> None:
    local_pool_of_the_page().write(tmp_path)
    users: list[list[dict[str, Any]]] = []
    for program in "local_pool", "examples.local_pool":
        settings = {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(CLONE)))}
        with running([program, "platform"], settings) as (_, process):  # a module that ends at once
            users.append([claims_of(raw) for raw in tokens_printed_by(process).values()])
    assert users[0] == users[1]


def claims_of(raw: str) -> dict[str, Any]:
    """A token's claims, without those that differ from one token of a user to the next."""
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(raw.split(".")[1] + "=="))
    return {
        name: value
        for name, value in claims.items()
        if name not in ("auth_time", "event_id", "exp", "iat", "jti", "origin_jti")
    }


EXAMPLES = [block for block in snippets(CLONE / "examples" / "README.md") if "pip install" in block.text]


def test_every_example_says_what_to_install() -> None:
    folders = {path.name for path in (CLONE / "examples").iterdir() if path.is_dir() and path.name != "__pycache__"}
    said = "".join(block.text for block in EXAMPLES)
    assert {name for name in folders if f"examples.{name}" in said or f"examples/{name}" in said} == folders - {
        "cost_calculator"  # its README has its steps, and `make demo`
    }
    told = {line for block in EXAMPLES for line, _ in commands(block.text)}
    for readme in (CLONE / "examples").glob("*/README.md"):
        lines = readme.read_text(encoding="utf-8").splitlines()
        assert {line.strip() for line in lines if re.match(r" {4}pip install ['.]", line)} <= told, readme


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: commands(block.text)[1][0])
def test_an_example_answers_as_its_readme_shows(block: Snippet, tmp_path: Path) -> None:
    _, (command, shown), *requests = commands(block.text)  # pip first
    if requests:
        try_out([(command, shown), *requests], tmp_path)
    else:
        printed = in_a_shell(command, CLONE)
        assert is_as_shown(printed, shown), printed


def test_what_the_page_of_powertools_tells_to_paste_answers_as_shown(tmp_path: Path) -> None:
    code, without_token, program, with_token, *_ = [
        block for block in snippets(page("powertools")) if block.language != "sh"
    ]
    app = write([code], tmp_path)
    program.write(tmp_path)
    for block in without_token, with_token:
        assert block.needs == HERE
        ((command, shown),) = commands(block.text)
        printed = in_a_shell(command, tmp_path)
        assert is_as_shown(printed, shown), printed
        if block is without_token:
            change("powertools", app, "")


def test_the_mcp_server_and_its_client_answer_as_their_readme_shows() -> None:
    (block,) = [block for block in snippets(CLONE / "examples" / "README.md") if "MCP_SERVER_URL" in block.text]
    (setting, _), (server, _), (client, shown) = commands(block.text)
    name, _, value = setting.removeprefix("export ").partition("=")
    words = server.removeprefix(f"{LOCAL_POOL}uvicorn ").split()
    with running(["examples.local_pool", *UVICORN, *words], {name: value}) as (url, process):
        ada = tokens_printed_by(process)["ADA"]
        printed = in_a_shell(f"ADA={ada}\n" + client.replace("http://127.0.0.1:8000", url), CLONE)
        assert is_as_shown(printed, shown), printed


def write(blocks: list[Snippet], folder: Path) -> list[Path]:
    """Save blocks as the page says it, those without a name as app.py; gives the files."""
    for block in blocks:
        if block.file:
            block.write(folder)
        else:
            (folder / "app.py").write_text(block.text, encoding="utf-8")
    return [folder / name for name in dict.fromkeys(block.file or "app.py" for block in blocks)]


def change(name: str, program: list[Path], shown: str) -> None:
    before = [file.read_text(encoding="utf-8") for file in program]
    after = [changed(name, code, shown) for code in before]
    assert before != after
    for file, code in zip(program, after, strict=True):
        file.write_text(code, encoding="utf-8")


def try_out(typed: list[tuple[str, str]], folder: Path, local_pool: str = "examples.local_pool") -> None:
    """Run the server that is typed first, and ask it what curl asks then."""
    (server, _), *requests = typed
    is_local = server.startswith(LOCAL_POOL)
    command = [local_pool] * is_local + [*SERVERS[server.removeprefix(LOCAL_POOL)]]
    settings = {"PYTHONPATH": os.pathsep.join((str(folder), str(CLONE)))}
    with running(command, settings) as (url, process):
        said = tokens_printed_by(process) if is_local else {}
        assert len(requests) > 0
        for line, shown in requests:
            _, printed = curl(line, url, said)
            assert is_as_shown(printed, shown), f"{line}\nprinted:\n{printed}\nshown:\n{shown}"
