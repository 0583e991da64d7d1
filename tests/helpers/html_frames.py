"""A story of our own in pages that are built as broken, old or scripted ones are."""

from __future__ import annotations

STORY = [
    "The harbour bridge opens to cyclists on Sunday, said the mayor, who had promised it two years ago.",
    "Its painters worked through the winter, and nobody was hurt in all that time.",
    "A ferry crosses the river as before until the last of the scaffolds is gone.",
]
PARAGRAPHS = "".join(f"<p>{text}</p>" for text in STORY)
LOSSES = {
    "an early end of the page": "<html><head><title>t</title></head></html><body>{}</body></html>",
    "a body that ends early": "<body><p>Menu</p></body></html>{}",
    "a void embed": "<article><embed src=a.swf>{}</article>",
    "an unclosed map": "<map name=m><area href=a>{}",
    "an unclosed object": "<object data=a.swf><param name=a>{}",
    "an unclosed svg": "<svg><path d=M0>{}",
    "a tag left open in noscript": "<noscript><div class=w></noscript>{}",
    "a comment in noscript": "<noscript><!-- </noscript>{}",
    "a page hidden until scripts run": "<div style='display:none'><nav>Menu</nav>{}</div>",
    "two wrappers hidden": "<div hidden><div style='visibility:hidden'>{}</div></div>",
    "a closed dialog around it": "<dialog>{}</dialog>",
    "a story without scripts": "<nav>Menu</nav><div><noscript>{}</noscript></div>",
    "a story in a template": "<nav>Menu</nav><template>{}</template>",
    "a shadow root": "<news-story><template shadowrootmode=open>{}</template></news-story>",
    "a frameset": "<frameset><frame src=a><noframes>{}</noframes></frameset>",
    "an unclosed video": "<video src=a>{}",
    "a head that is never closed": "<head><title>t</title>{}",
    "a form in a table": "<table><form><tr><td>{}</form></table>",
    "a stray select": "<select><option>a</select>{}",
}
