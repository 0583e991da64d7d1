"""Extractors of main text that read HTML, each set to give an article's text alone (no comments, dates or bylines where
it can leave them out)."""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from train.corpus.sources.extracted import by_readability

Extract = Callable[[str, str], str]
"""Takes HTML and the page's language (two letters, or empty), gives the story's text; may raise anything on a broken
page."""
STOPLISTS = {
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
}
"""jusText tells text by the commonest words of its language; others are read as English."""


@dataclass(frozen=True)
class Extractor:
    """One contender.

    Args:
        name: As tables show it.
        package: The distribution it comes in.
        module: The module that must be there.
        make: Given the module, makes what extracts.
    """

    name: str
    package: str
    module: str
    make: Callable[[Any], Extract]

    @property
    def version(self) -> str | None:
        """Of the installed package; None where there is none."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    def load(self) -> Extract:
        """Imports it, and quiets its log: what it makes of a page is counted by whoever asks.

        Raises:
            ImportError: It is not installed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it could do with yet other packages
            module = importlib.import_module(self.module)
        logging.getLogger(self.module.partition(".")[0]).setLevel(logging.CRITICAL)
        return self.make(module)


_CHARSET = re.compile(r"""charset\s*=\s*["']?[\w.:-]+["']?(?=[\s/>"'])""", re.IGNORECASE)
_RESILIPARSE = {
    "main_content": True,
    "list_bullets": False,
    "comments": False,
    "links": False,
    "alt_texts": False,
    "post_meta": False,
}
"""As its author compares it (chatnoir-eu/web-content-extraction-benchmark), and without what stands around a post."""


def _trafilatura(**options: Any) -> Callable[[Any], Extract]:
    return lambda module: lambda html, lang: module.extract(html, include_comments=False, **options) or ""


def _newspaper(module: Any) -> Extract:
    def extract(html: str, lang: str) -> str:
        # It is given the page: nothing is fetched, neither the page nor its pictures.
        article = module.Article("https://page.invalid/", config=config)
        article.download(input_html=html)
        article.parse()
        return str(article.text)

    config = module.Config()
    config.fetch_images = False
    return extract


def _goose(module: Any) -> Extract:
    goose = module.Goose({"enable_image_fetching": False})
    # It would encode the text again as the page declares, which is decoded by now.
    return lambda html, lang: goose.extract(raw_html=_CHARSET.sub("charset=utf-8", html)).cleaned_text or ""


def _justext(module: Any) -> Extract:
    stoplists = {lang: module.get_stoplist(name) for lang, name in {"en": "English", **STOPLISTS}.items()}

    def extract(html: str, lang: str) -> str:
        paragraphs = module.justext(html, stoplists.get(lang, stoplists["en"]))
        return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)

    return extract


EXTRACTORS = (
    Extractor("trafilatura", "trafilatura", "trafilatura", _trafilatura()),
    Extractor("trafilatura, favor_precision", "trafilatura", "trafilatura", _trafilatura(favor_precision=True)),
    Extractor(
        "readability-lxml", "readability-lxml", "readability", lambda module: lambda html, lang: by_readability(html)
    ),
    Extractor(
        "resiliparse",
        "resiliparse",
        "resiliparse.extract.html2text",
        lambda module: lambda html, lang: module.extract_plain_text(html, **_RESILIPARSE),
    ),
    Extractor("newspaper4k", "newspaper4k", "newspaper", _newspaper),
    Extractor("jusText", "jusText", "justext", _justext),
    Extractor(
        "boilerpy3",
        "boilerpy3",
        "boilerpy3.extractors",
        lambda module: lambda html, lang: module.ArticleExtractor().get_content(html),
    ),
    Extractor("goose3", "goose3", "goose3", _goose),
)
"""Those that issue trackers and papers compare with; all of them read tags and attributes that flat text has lost."""
