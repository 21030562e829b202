"""Function words: they stand in every text, so finding them in one says little about it."""

from __future__ import annotations

from types import MappingProxyType

_ENGLISH = """
    a about also am an and any are as at be been being both but by can could did do does doing done
    each either for from had has have having he her hers him his how i if in into is it its many
    may me might more most much must my no nor not of on onto or other our ours over per she should
    so some such than that the their theirs them then there these they this those to under until up
    upon us was we were what when where which while who whom whose why will with within without
    would you your yours
    ani doe mani whi
"""
_GERMAN = """
    aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist da damit
    dann das dass dem den denen denn der deren des dessen die dies diese diesem diesen dieser
    dieses doch dort du durch ein eine einem einen einer eines er es euch für gegen gibt hat hatte
    hatten habe haben ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im in ins ist ja je jede
    jedem jeden jeder jedes kann können kein keine keinem keinen keiner keines man mein meine mit
    muss müssen nach nicht noch nun nur ob oder ohne sein seine seinem seinen seiner seines seit
    sich sie sind so soll sollen sollte über um und uns unter vom von vor wann war waren warum was
    welche welchem welchen welcher welches wem wen wenn wer werden wessen weshalb wie wieso wir
    wird wo wofür woher wohin womit wurde wurden zu zum zur zwischen
    all dess fur geg hab hatt jed konn ohn sollt uber unt welch werd wess wofur woh wurd zwisch
"""

FUNCTION_WORDS = MappingProxyType(
    {"en": frozenset(_ENGLISH.split()), "de": frozenset(_GERMAN.split())}
)
"""By language; the last line of each list holds the stems that are not words themselves."""
_NONE: frozenset[str] = frozenset()


def function_words(language: str) -> frozenset[str]:
    """The function words of a language as terms; none for a language without a list."""
    return FUNCTION_WORDS.get(language, _NONE)
