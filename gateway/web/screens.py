"""Renders the screens: their frames as HTML, which scripts of the page then fill and keep live."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from gateway.session.wording import Language
from gateway.web.catalogue import texts_of

STATIC = Path(__file__).parent / "static"


@cache
def _environment() -> Environment:
    folder = Path(__file__).parent / "templates"
    return Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@cache
def assets() -> str:
    """A name for the state of all static files, so that no browser mixes those of two versions."""
    files = sorted(path for path in (*STATIC.rglob("*"), *STATIC.parent.glob("texts/*")) if path.is_file())
    return hashlib.blake2b(b"".join(path.read_bytes() for path in files), digest_size=6).hexdigest()


def page(template: str, language: Language, status: int = 200, **values: object) -> HTMLResponse:
    """The screen `template`, with its texts in `language`."""
    html = _environment().get_template(template)
    return HTMLResponse(
        html.render(t=texts_of(language), language=language, languages=list(Language), assets=assets(), **values),
        status,
    )


def page_onward(onward: str, language: Language) -> HTMLResponse:
    """A page of ours that leads on: a redirect would not get our own cookies back, nor be followed after a form."""
    return page("onward.html", language, screen="sign-in", person=None, onward=onward)
