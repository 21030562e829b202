"""Which language a question is asked in, and how "not in the documents" is said in it."""

from __future__ import annotations

import re
from types import MappingProxyType

from ragmesh.generation.adapters.little_words import TELLING_WORDS

NO_CONTEXT_SENTENCES = MappingProxyType(
    {
        "ar": "يبدو أن المستندات لا تجيب عن هذا السؤال.",
        "cs": "Zdá se, že dokumenty na tuto otázku neodpovídají.",
        "da": "Dokumenterne synes ikke at besvare dette spørgsmål.",
        "de": "Die Dokumente scheinen diese Frage nicht zu beantworten.",
        "el": "Τα έγγραφα δεν φαίνεται να απαντούν σε αυτή την ερώτηση.",
        "en": "The documents do not seem to answer this question.",
        "es": "Los documentos no parecen responder a esta pregunta.",
        "fi": "Asiakirjat eivät näytä vastaavan tähän kysymykseen.",
        "fr": "Les documents ne semblent pas répondre à cette question.",
        "he": "נראה שהמסמכים אינם עונים על השאלה הזו.",
        "hi": "लगता है कि दस्तावेज़ इस प्रश्न का उत्तर नहीं देते।",
        "hu": "Úgy tűnik, a dokumentumok nem válaszolnak erre a kérdésre.",
        "it": "I documenti non sembrano rispondere a questa domanda.",
        "ja": "文書はこの質問に答えていないようです。",
        "ko": "문서에 이 질문에 대한 답이 없는 것 같습니다.",
        "nl": "De documenten lijken deze vraag niet te beantwoorden.",
        "no": "Dokumentene ser ikke ut til å besvare dette spørsmålet.",
        "pl": "Dokumenty nie wydają się odpowiadać na to pytanie.",
        "pt": "Os documentos não parecem responder a esta pergunta.",
        "ro": "Documentele nu par să răspundă la această întrebare.",
        "ru": "Похоже, документы не отвечают на этот вопрос.",
        "sv": "Dokumenten verkar inte besvara den här frågan.",
        "th": "ดูเหมือนว่าเอกสารจะไม่ได้ตอบคำถามนี้",
        "tr": "Belgeler bu soruyu yanıtlamıyor gibi görünüyor.",
        "uk": "Схоже, документи не відповідають на це запитання.",
        "vi": "Các tài liệu dường như không trả lời câu hỏi này.",
        "zh": "这些文档似乎没有回答这个问题。",
    }
)
_SCRIPTS = (
    ("ja", re.compile("[\N{HIRAGANA LETTER SMALL A}-\N{KATAKANA LETTER SMALL KE}]")),
    ("ko", re.compile("[\N{HANGUL SYLLABLE GA}-\N{HANGUL SYLLABLE HIH}]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("uk", re.compile("[іїєґ]", re.IGNORECASE)),
    ("ru", re.compile("[\u0400-\u04ff]")),
)
"""The first script that a question is mostly written in says its language. Japanese is written
with Chinese characters, too, and Ukrainian with Russian ones: the telling letters come first."""
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_TELLING_SHARE = 0.1
"""Japanese kana and the letters of Ukrainian alone stand thinly among the others."""
_SCRIPT_SHARE = 0.5


def language_code(language: str) -> str:
    """The ISO 639-1 part of a language tag."""
    return language.casefold().split("-")[0]


def language_of(question: str, collection: str) -> str:
    """The language a question is asked in: that of the collection unless it is plainly another.

    A script decides, or the little words: a name or two keywords in it say nothing.
    """
    letters = len(_LETTER.findall(question))
    if not letters:
        return language_code(collection)
    for code, script in _SCRIPTS:
        least = _TELLING_SHARE if code in {"ja", "uk"} else _SCRIPT_SHARE
        if len(script.findall(question)) > least * letters:
            return _unless_collection(code, collection)
    return _by_words(question, language_code(collection))


def _unless_collection(code: str, collection: str) -> str:
    """Persian and Urdu are written as Arabic is, Marathi as Hindi: there the collection knows."""
    own = language_code(collection)
    related = {"ar": ("fa", "ur", "ps"), "hi": ("mr", "ne"), "ru": ("bg", "sr", "mk", "be")}
    return own if own in related.get(code, ()) else code


def _by_words(question: str, own: str) -> str:
    words = _WORD.findall(question.casefold())
    counts = {
        code: sum(word in telling for word in words) for code, telling in TELLING_WORDS.items()
    }
    best = max(counts, key=lambda code: (counts[code], code == own))
    return best if counts[best] > counts.get(own, 0) else own


def no_context_sentence(language: str) -> str:
    """What is said instead of guessing."""
    code = language_code(language)
    return NO_CONTEXT_SENTENCES.get(code, NO_CONTEXT_SENTENCES["en"])
