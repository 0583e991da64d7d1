"""What stands within a story and after it: images, embedded posts, fact boxes, forms, readers' comments."""

from __future__ import annotations

import re

from train.corpus.composed.articles import headlines, sentences
from train.corpus.composed.canvas import Canvas
from train.corpus.composed.words import cased

MOST_BEFORE_A_COMMENT = 400
"""On a page of more segments no further comment begins."""

_SENTENCE_START = re.compile(r"(?:^|(?<=[.?!] ))[a-z]")


class Furniture(Canvas):
    """Writes the blocks that a site puts into its stories and below them."""

    def _insert(self, kind: str) -> None:
        rng, words = self.rng, self.words
        match kind:
            case "ad":
                label = rng.choice(("Advertisement", "ADVERTISEMENT", "Ad", "Story continues below", "Advertising"))
                self._boilerplate([label if rng.random() < 0.8 else "{debris}"] * rng.choice((1, 1, 1, 2)))
            case "debris":
                self._boilerplate(["{debris}"] * rng.randint(1, 4))
            case "related_line":
                self._related_line()
            case "related_box":
                self._rail_of(
                    rng.choice(("{inline_labels}", "{rail_headings}", None)), (("<headline>",),), rng.randint(1, 4)
                )
            case "image":
                self._image()
            case "quote":
                self._quote()
            case "video":
                self._boilerplate(["{debris}"] * rng.randint(2, 12))
            case "newsletter":
                self._boilerplate(["{newsletters}", "{newsletter_prose}", *["{newsletters}"] * rng.randint(1, 5)])
            case "embed":
                text = words.draw("comments") if rng.random() < 0.6 else words.fill("[thing]: {ad_prose} #{words}")
                self._boilerplate(
                    [text, rng.choice(("— {first} {last} (@{nick}) [date]", "@{nick}", "[date]", "View post"))]
                )
            case "facts":
                self._boilerplate(["{fact_titles}", *["{facts}"] * rng.randint(3, 9)])
            case "gallery":
                self._boilerplate(["View gallery", "1/{n}"][: rng.randint(0, 2)])
                for _ in range(rng.randint(2, 8)):
                    self._image()
            case "share":
                self._boilerplate(self.site.share)
            case "promotion":
                self._boilerplate(["{ad_prose}", *["{ad_prose}"] * rng.randint(0, 2)])

    def _image(self) -> None:
        draw = self.rng.random()
        caption = self._sentence_caption() if draw < 0.3 else self.words.draw("captions")
        if draw > 0.8 and self.site.caption != "caption":
            caption = self.rng.choice(headlines(self.main))
        credit = self.words.draw("captions_end")
        match self.site.caption:
            case "one":
                self._boilerplate([f"{caption}. {credit}"])
            case "two":
                self._boilerplate([caption, credit])
            case "credit":
                self._boilerplate([credit])
            case "caption":
                self._boilerplate([f"{caption}."])
            case "three":
                self._boilerplate(["{debris}", caption, credit])

    def _sentence_caption(self) -> str:
        """A caption that is a sentence, as many are, in words of its own."""
        return f"{self.words.fill('[thing]')}, {self.words.draw('seen')} {self.words.draw('captions_where')}"

    def _quote(self) -> None:
        quotes = [s for p in self.main.paragraphs[1:] for s in sentences(p) if 6 <= len(s.split()) <= 25]
        if quotes:
            self._main(self.rng.choice(quotes))
            if self.rng.random() < 0.4:
                self._boilerplate(["[thing]"])

    def _related_line(self) -> None:
        article = self._next()
        label, headline = self.site.inline_label, self._headline(article)
        self.stories += 1
        if self.rng.random() < 0.6:
            glue = self.rng.choice((": ", " ", " | ", " - "))
            self._related(f"{label}{glue}{headline}", article)
        else:
            if self.rng.random() < 0.7:
                self._boilerplate([label])
            self._related(headline, article)

    # After the story.

    def _after(self, kind: str) -> None:
        rng = self.rng
        match kind:
            case "tags":
                tags = [self.words.fill("[thing]") for _ in range(rng.randint(1, 5))]
                tags += [self.words.draw("subsections") for _ in range(rng.randint(0, 3))]
                head = [
                    rng.choice(("Tags", "Topics", "More on", "Related topics", "Filed under", "Tags:", "In this story"))
                ]
                one = [f"{head[0]} {', '.join(dict.fromkeys(tags))}"]
                self._boilerplate(
                    one if rng.random() < 0.2 else head * (rng.random() < 0.7) + list(dict.fromkeys(tags))
                )
            case "notes":
                self._boilerplate(["{end_notes}"] * rng.choice((1, 1, 2, 3)))
            case "author":
                self._boilerplate(["[author]", "{bio}", *["{networks}"] * rng.randint(0, 3)])
            case "newsletter":
                self._boilerplate(["{newsletters}", "{newsletter_prose}", *["{newsletters}"] * rng.randint(1, 8)])
            case "paywall":
                self._boilerplate(["{paywall}", "{paywall_prose}", *["{paywall}"] * rng.randint(0, 4)])
            case "neighbours":
                self._neighbours()
            case "comments":
                self._comments()
            case "share" | "gallery" | "promotion" | "ad":
                self._insert(kind)

    def _neighbours(self) -> None:
        """The stories before and after this one."""
        pair = self.rng.choice(
            (("Previous article", "Next article"), ("Previous post", "Next post"), ("Older", "Newer"))
        )
        glued = self.rng.random() < 0.5
        for label in pair:
            article = self._next()
            headline = cased(self._headline(article), self.site.headline_case)
            if not glued:
                self._boilerplate([label])
            self.stories += 1
            self._related(f"{label}: {headline}" if glued else headline, article)

    def _comments(self) -> None:
        self._boilerplate(["{comment_heads}"] * self.rng.choice((1, 2, 3, 5, 8)))
        count = (
            min(60, int(self.site.comment_count * self.rng.lognormvariate(0, 0.8))) if self.rng.random() < 0.6 else 0
        )
        for _ in range(count):
            if len(self.segments) > MOST_BEFORE_A_COMMENT:
                break
            for line in self.site.comments:
                if line == "<text>":
                    for _ in range(self.rng.choice((1, 1, 1, 1, 2, 3))):
                        size = self.rng.choice((1, 1, 1, 2, 2, 3))
                        self._boilerplate([" ".join(self._opinion() for _ in range(size))])
                else:
                    self._boilerplate([line])

    def _opinion(self) -> str:
        """What a reader writes; partly in words that someone said in a story, for threads read like prose."""
        article = self.main if self.rng.random() < 0.5 else self.rng.choice(self.unused or [self.main])
        quoted = [part.split('"')[1::2] for part in article.paragraphs if part.count('"') % 2 == 0]
        said = [text.strip(" ,") for texts in quoted for text in texts if len(text.split()) > 7]
        if not said or self.rng.random() < 0.65:
            text = self.words.draw("comments")
            return _SENTENCE_START.sub(lambda match: match.group().upper(), text)
        return self.rng.choice(said)
