"""How German continues a conversation.

The lists and patterns know the forms that are common, and leave a question alone when in doubt.
"""

from __future__ import annotations

from ragmesh.generation.adapters.leaning import Wording, any_of
from ragmesh.generation.adapters.words import function_words

_EMPTY = """
    allerdings andere anderen anderer anderes anders art bitte bleiben braucht brauche brauchen
    danke darf dürfen dürfte ebenfalls eigentlich einfach erst etwas falls fall funktioniert gab
    gar geben gehen geht genau gerade gilt gelten gut immer jetzt jemand kommt kommen lange lassen
    lässt machen macht mehr möglich mal möchte nämlich neu nein nichts nie niemand okay passiert
    sagen schon sehen sehr selbe selben sonst sofort stattdessen tun trotzdem überhaupt vielleicht
    viel viele warten weil wann wirklich wissen wohl ziemlich zwar noch nochmal
    es er sie ihn ihm ihnen ihr ihre ihrem ihren ihrer ihres sein seine seinem seinen seiner seines
    dessen deren denen dies diese diesem diesen dieser dieses jene jenem jenen jener jenes dort
    da dabei dadurch dafür dagegen daher dahin damit danach daneben daran darauf daraus darin
    darüber darum darunter davon davor dazu dorthin dieselbe dieselben derselbe derselben dasselbe
    demselben denselben derselbe
"""
_RELATIONAL = """
    adresse alter anzahl ausnahme ausnahmen bedeutung bedingung bedingungen beispiel beispiele
    dauer folge folgen frist fristen gebühr gebühren geschichte grenze grenzen größe grund gründe
    höhe kosten länge maximal menge mindestens nachteil nachteile name namen preis preise regel
    regeln risiko risiken rolle strafe symptome uhrzeit unterschied unterschiede ursache ursachen
    voraussetzung voraussetzungen vorteil vorteile wirkung zahl zeit zeiten ziel zweck
"""
_PRONOUNS = """
    es er ihn ihm ihnen ihr ihre ihrem ihren ihrer ihres sie seine seinem seinen seiner seines
    dessen deren denen
"""
_ALLOWING = "(?:erlaubt|gestattet|möglich|nötig|verboten)"
_POINTING = any_of(
    r"\b(?:das|dem|den|der|die|im|zum|zur)?selben?\b",
    r"\b(?:dies(?:e[mnrs]?)?|jene[mnrs]?|dort(?:hin)?|sonst)\b",
    r"\bda(?:bei|durch|für|gegen|hin|mit|nach|neben|ran|rauf|raus|rin|rüber|runter|von|vor|zu)\b",
    r"\b(?:ist|war|gilt|geht|heißt|bedeutet|kostet|wird|darf|muss|kann|macht) das ?[?.!]*$",
)
_NOT_POINTING = any_of(
    r"\bgibt es\b",
    rf"\bes (?:ist |wird )?{_ALLOWING}\b",
    rf"\b(?:ist|wird) es (?:\w+ ){{0,3}}{_ALLOWING}\b",
    r"(?<=\w )(?-i:Sie|Ihnen|Ihr|Ihre[mnrs]?)\b",  # how a stranger is addressed
    r"\bdies(?:es|en|em) (?:Jahr|Monat|Winter|Sommer)\b",
    r",\s*damit\b",
)
_CONTRASTING = any_of(
    r"(?:und |aber )?was ist mit\b",
    r"(?:und |aber )?wie (?:ist|steht|sieht) es (?:\w+ )?(?:auf|bei|in|im|mit)\b",
    r"(?:und |aber )?(?:für|auf|in|im|am|bei|beim|an|mit|nach|ohne|von|vom|vor|zu|zum|zur)"
    r" (?:de[mnr] |die |das )?[\w-]+(?: [\w-]+)? ?\??$",
)

GERMAN = Wording(
    empty=function_words("de") | frozenset(_EMPTY.split()),
    relational=frozenset(_RELATIONAL.split()),
    pronouns=frozenset(_PRONOUNS.split()),
    pointing=_POINTING,
    not_pointing=_NOT_POINTING,
    opening=any_of(r"(?:und|aber|oder|auch|dann|also)\b"),
    contrasting=_CONTRASTING,
    elliptic=any_of(
        r"(?:wie|welche[mnrs]?|was|wann|wo|wer|wem|wen|warum|wieso|ab|bis|seit|für|auf|in|im|mit)\b"
    ),
    defining=any_of(r"(?:was|wer) (?:ist|sind|war|waren)\b"),
    names_by_capitals=False,  # every noun has one
)
