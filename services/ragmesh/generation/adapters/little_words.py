"""Little words that tell in which language a question is asked; some belong to several."""

from __future__ import annotations

from types import MappingProxyType

from ragmesh.generation.adapters.words import FUNCTION_WORDS

_LITTLE_WORDS = MappingProxyType(
    {
        "cs": """
            a byl byla bylo co jak je jsou kde kdo kdy kolik která které který na proč se že
        """,
        "da": """
            af blev det er hvad hvem hvilke hvilken hvilket hvor hvordan hvorfor hvornår og på
            som var
        """,
        "de": """
            jahr wieviel
        """,
        "en": """
        """,
        "es": """
            con cuál cuáles cuándo cuánta cuántas cuánto cuántos cómo del dónde el en era es fue
            fueron la las los para por que quién quiénes qué se son un una y
        """,
        "fi": """
            ja kuinka kuka miksi mikä milloin missä miten mitkä mitä oli olivat on ovat
        """,
        "fr": """
            a au aux avec combien comment dans des du est et la le les ont où par pour pourquoi
            qu quand que quel quelle quelles quels qui quoi sont sur un une était été a t y il
        """,
        "hu": """
            az egy hogyan hol hány ki kit melyik mennyi mi mikor mit miért van volt voltak és
        """,
        "it": """
            che chi come con cosa dei del della delle dello di dove e era gli il lo nel nella
            per perché quale quali quando quante quanti quanto sono stato un una è
        """,
        "nl": """
            dat de een en het hoe hoeveel in is met niet op te van voor waar waarom wanneer
            waren was wat welk welke werd werden wie zijn
        """,
        "no": """
            av ble det er hva hvem hvilke hvilken hvilket hvor hvordan hvorfor ikke når og på
            som var
        """,
        "pl": """
            był była było były co dlaczego do gdzie i ile jak jest kiedy kto która które który
            na nie się są w z
        """,
        "pt": """
            ao as com como da das do dos e em era foi foram na no o onde os para por quais qual
            quando quantas quanto quantos que quem são um uma é
        """,
        "ro": """
            a al ale care ce cine cu cum când cât câte câți de din era este fost la pe pentru
            sunt unde în și
        """,
        "sv": """
            av blev den det en ett hur inte när och på som vad var varför vem vilka vilken
            vilket är
        """,
        "tr": """
            bir hangi hangisi ile için kaç kim kimdir mi mu mü mı nasıl ne neden nedir nerede
            nereye niçin ve zaman
        """,
        "vi": """
            ai bao các có của gì khi không là người nhiêu những nào sao thế trong tại và đâu đã
            được
        """,
    }
)
TELLING_WORDS = MappingProxyType(
    {
        code: frozenset(words.split()) | FUNCTION_WORDS.get(code, frozenset())
        for code, words in _LITTLE_WORDS.items()
    }
)
"""By language."""
