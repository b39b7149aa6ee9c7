"""The page that shows what a gallery holds: one html file beside the films, without scripts or anything from afar."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #2d323c; max-width: 1500px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #e2e8f0; }
figure { margin: 1.2em 0; } figcaption { font-weight: 600; margin-bottom: .3em; }
video, img { max-width: 100%; } small, p { color: #64748b; } nav a { margin-right: 1em; }
"""


@dataclass(frozen=True)
class Show:
    """Files of one thing to see, relative to the page: films, pictures, tables."""

    caption: str
    files: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A heading, a sentence and what stands below."""

    title: str
    text: str
    shows: Sequence[Show]


def gallery_page(title: str, notes: Sequence[str], sections: Sequence[Section]) -> str:
    """The page as html; sections without anything to show are left out."""
    shown = [section for section in sections if section.shows]
    links = "".join(f'<a href="#{_anchor(section.title)}">{escape(section.title)}</a>' for section in shown)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>',
        "<body>",
        f"<h1>{escape(title)}</h1>",
        "<small>" + "<br>".join(escape(note) for note in notes) + "</small>",
        f"<nav><p>{links}</p></nav>",
    ]
    for section in shown:
        parts += [f'<h2 id="{_anchor(section.title)}">{escape(section.title)}</h2>', f"<p>{escape(section.text)}</p>"]
        parts += [_figure(show) for show in section.shows]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _figure(show: Show) -> str:
    """The film (the gif where there is no mp4, the picture where there is neither) and links to all files."""
    by_kind = {file.rpartition(".")[2]: file for file in show.files}
    if "mp4" in by_kind:
        poster = f' poster="{quote(by_kind["png"])}"' if "png" in by_kind and "gif" not in by_kind else ""
        view = f'<video src="{quote(by_kind["mp4"])}"{poster} controls loop muted autoplay playsinline></video>'
    elif "gif" in by_kind or "png" in by_kind:
        view = f'<img src="{quote(by_kind.get("gif") or by_kind["png"])}" alt="{escape(show.caption)}">'
    else:
        view = ""
    links = ", ".join(f'<a href="{quote(file)}">{escape(_label(file))}</a>' for file in show.files)
    return f"<figure><figcaption>{escape(show.caption)}</figcaption>{view}<br><small>{links}</small></figure>"


def _label(file: str) -> str:
    kind = file.rpartition(".")[2]
    return {"mp4": "video", "gif": "gif", "png": "picture"}.get(kind) or file.rpartition("/")[2]


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
